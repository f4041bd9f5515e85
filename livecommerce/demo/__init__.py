"""The robot host of ``serve --demo``: a living show for a newcomer without a camera.

An ordinary client of our own server: it publishes a drawn picture and a soft tone by WHIP, shows three products, runs
a flash deal every minute, and brings a few robots that chat and buy. It uses the public contract only.
"""
