"""A camera worth looking at: the demo's drawn show as a file that Chromium plays in place of its test pattern."""

from __future__ import annotations

from pathlib import Path

import av

from livecommerce.demo.picture import HEIGHT, RATE, WIDTH, ShowPicture

SECONDS = 12
#: Chromium loops the file, and fits it to what the page asks for
FLAG = "--use-file-for-fake-video-capture"


def write_camera(folder: Path, scene: str = "mug") -> str:
    """Write the film into ``folder``; the argument for Chromium."""
    path = folder / "camera.mjpeg"
    picture = ShowPicture(scene)
    with av.open(str(path), "w", format="mjpeg") as film:
        stream = film.add_stream("mjpeg", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        stream.options = {"q": "2", "qmin": "2", "qmax": "3"}
        for second in range(SECONDS):
            for _ in range(RATE):
                frame = picture.frame(f"20:15:{second:02d}").reformat(format="yuvj420p")
                film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return f"{FLAG}={path}"
