"""The show's moving picture: sprites laid over a studio by FFmpeg's overlay filter, 360 by 640, with a running clock.

The pictures in ``art/`` were drawn beforehand (``render_art.py``), so a frame costs about a millisecond here; the VP8
encoder behind it costs more. Nothing in this file knows the network.
"""

from __future__ import annotations

import functools
import time
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace

ART = Path(__file__).parent / "art"
WIDTH, HEIGHT = 360, 640
#: pictures a second: smooth enough for a wave and a float, at two thirds of the cost of 30
RATE = 20
TIME_BASE = Fraction(1, RATE)
#: FFmpeg's scale from 2 (best): about 25 KB
POSTER_QUANTISER = "5"

#: where the clock's face goes, and the size of one glyph cell (even, for the colour planes have half the size)
CLOCK_X, CLOCK_Y, GLYPH_WIDTH, GLYPH_HEIGHT = 68, 112, 28, 52
GLYPHS = "0123456789:"
#: the wave goes there and back, then rests
WAVE = (0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0) * 2 + (0,) * 48


@functools.cache
def art(name: str, pixels: str = "yuva420p") -> av.VideoFrame:
    """One committed picture, decoded once."""
    with av.open(str(ART / f"{name}.png")) as file:
        # Video is limited range; FFmpeg would keep a PNG's full range, and players would crush its blacks.
        return next(file.decode(video=0)).reformat(
            format=pixels,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU601,
        )


class ShowPicture:
    """Draws one frame after the other; :attr:`scene` and :attr:`deal_open` may be changed between any two."""

    def __init__(self, scene: str) -> None:
        self.scene = scene
        self.deal_open = False
        self._shown: tuple[str, bool] | None = None
        self._studio: tuple[str, str] | None = None
        self._count = 0
        self._in_scene = 0
        self._latest: av.VideoFrame | None = None

    def frame(self, clock: str | None = None) -> av.VideoFrame:
        """The next picture, its ``pts`` counting frames; ``clock`` (``HH:MM:SS``) is now, in local time."""
        if self._shown != (self.scene, self.deal_open):
            self._shown = (self.scene, self.deal_open)
            self._in_scene = 0
            self._build()
        self._draw_studio(clock or time.strftime("%H:%M:%S"))
        for source, picture in (
            (self._main, self._background),
            (self._head, self._head_now()),
            (self._arm, art(f"arm-{WAVE[self._count // 2 % len(WAVE)]}")),
        ):
            picture.pts, picture.time_base = self._in_scene, TIME_BASE
            source.push(picture)
        drawn: av.VideoFrame = self._graph.vpull()
        drawn.pts, drawn.time_base = self._count, TIME_BASE
        self._count += 1
        self._in_scene += 1
        self._latest = drawn
        return drawn

    def poster(self) -> bytes | None:
        """The newest picture as a JPEG, a few ms; ``None`` before the first."""
        if self._latest is None:
            return None
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuvj420p", TIME_BASE
        encoder.options = {"qmin": POSTER_QUANTISER, "qmax": POSTER_QUANTISER}
        # a picture of its own, in full range: the one that is drawn belongs to the video
        return b"".join(bytes(packet) for packet in encoder.encode(self._latest.reformat(format="yuvj420p")))

    def _head_now(self) -> av.VideoFrame:
        blinking = self._count % 61 < 3
        talking = self._count % 97 < 60 and self._count // 3 % 2
        return art(f"head-{'shut' if blinking else 'open'}-{'talk' if talking else 'smile'}")

    def _build(self) -> None:
        """One filter graph a scene: expressions in ``t`` (seconds in the scene) move what floats and slides in."""
        layers = [
            ("arm-0", "-16", "236"),
            ("body", "24", "300"),
            ("head-open-smile", "44+3*sin(t*1.3)", "188+5*sin(t*2.6)"),
            (f"product-{self.scene}", "188+300*exp(-5*t)", "268+9*sin(t*1.9)"),
            ("spark", "286+14*sin(t*0.9)", "250-mod(t*34,90)"),
            ("spark", "46+16*sin(t*0.7)", "230-mod(t*27+40,110)"),
        ]
        if self.deal_open:
            layers.append(("ribbon", "-270*exp(-6*t)", "172"))
        self._graph = Graph()
        below = self._main = self._source(WIDTH, HEIGHT, "yuv420p")
        sources = []
        for name, x, y in layers:
            size = art(name)
            source = self._source(size.width, size.height, "yuva420p")
            overlay = self._graph.add("overlay", f"x='{x}':y='{y}':eval=frame:eof_action=repeat")
            below.link_to(overlay, 0, 0)
            source.link_to(overlay, 0, 1)
            sources.append(source)
            below = overlay
        below.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        self._arm, self._head = sources[0], sources[2]
        for (name, _x, _y), source in zip(layers, sources, strict=True):
            if source not in (self._arm, self._head):
                # A still is pushed once; after its end the filter repeats it for nothing.
                still = art(name)
                still.pts, still.time_base = 0, TIME_BASE
                source.push(still)
                source.push(None)

    def _source(self, width: int, height: int, pixels: str) -> FilterContext:
        return self._graph.add_buffer(width=width, height=height, format=VideoFormat(pixels), time_base=TIME_BASE)

    def _draw_studio(self, clock: str) -> None:
        """The scene with the clock written on it: made anew only when either changes, once a second."""
        if self._studio == (self.scene, clock):
            return
        self._studio = (self.scene, clock)
        scene, glyphs = art(f"scene-{self.scene}", "yuv420p"), art("digits", "yuv420p")
        self._background = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for number in range(3):
            shift = 0 if number == 0 else 1
            target = memoryview(self._background.planes[number])
            target[:] = memoryview(scene.planes[number])
            source, stride = memoryview(glyphs.planes[number]), glyphs.planes[number].line_size
            width, line_size = GLYPH_WIDTH >> shift, self._background.planes[number].line_size
            for place, glyph in enumerate(clock):
                left = GLYPHS.index(glyph) * width
                corner = (CLOCK_Y >> shift) * line_size + (CLOCK_X >> shift) + place * width
                for row in range(GLYPH_HEIGHT >> shift):
                    at = corner + row * line_size
                    target[at : at + width] = source[row * stride + left : row * stride + left + width]
