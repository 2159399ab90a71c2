"""The service: faces of one live source, analysed without end, told in files and sockets.

`config` says what to do, `loop` does it, `status` and `firstboot` are the files that other programs read.
"""
