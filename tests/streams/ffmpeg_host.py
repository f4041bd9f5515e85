"""FFmpeg's WHIP muxer as a host, in a process of its own: it blocks while it connects, holding the GIL.

``python -m tests.streams.ffmpeg_host URL FOLDER`` publishes until it is ended. Its own default certificate is of a
curve that OpenSSL refuses, so it is given one.
"""

from __future__ import annotations

import datetime
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(folder: Path) -> dict[str, str]:
    """The muxer's options for a fresh P-256 certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "host")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    signed = builder.not_valid_after(now + datetime.timedelta(days=9)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def publish(url: str, folder: Path) -> None:
    """Publish H.264 and Opus until killed."""
    out = av.open(url, "w", format="whip", options=certificate(folder))
    options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "60", "bf": "0"}
    video = out.add_stream("libx264", rate=30, options=options)
    video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
    audio = out.add_stream("libopus", rate=48000)
    audio.layout = "stereo"
    started, heard = time.monotonic(), 0
    for index in range(1 << 30):
        picture = av.VideoFrame(320, 240, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((index * 3 + column) & 255 for column in range(plane.line_size)) * plane.height)
        picture.pts, picture.time_base = index, Fraction(1, 30)
        for packet in video.encode(picture):
            out.mux(packet)
        while heard / 48000 < index / 30:
            sound = av.AudioFrame(format="flt", layout="stereo", samples=960)
            sound.sample_rate, sound.pts, sound.time_base = 48000, heard, Fraction(1, 48000)
            for plane in sound.planes:
                plane.update(bytes(plane.buffer_size))
            for packet in audio.encode(sound):
                out.mux(packet)
            heard += 960
        time.sleep(max(0.0, started + index / 30 - time.monotonic()))


if __name__ == "__main__":
    publish(sys.argv[1], Path(sys.argv[2]))
