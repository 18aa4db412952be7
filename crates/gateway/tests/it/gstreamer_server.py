"""A camera made of GStreamer: an RTSP server that nobody of ours wrote.

gstreamer_server.py --video h264|h265 [--audio aac|alaw|ulaw]
                    [--digest USER:PASSWORD | --basic USER:PASSWORD]
                    [--certificate PEM]

Serves /camera on a free port of 127.0.0.1, prints the port and runs until its
standard input is closed, so that it does not outlive the test.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

VIDEO = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay name=pay0 pt=96 config-interval=1",
}
AUDIO = {
    "aac": "avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "alaw": "audioconvert ! audioresample ! alawenc ! rtppcmapay name=pay1 pt=8",
    "ulaw": "audioconvert ! audioresample ! mulawenc ! rtppcmupay name=pay1 pt=0",
}
RATE = {"aac": 48000, "alaw": 8000, "ulaw": 8000}

parser = argparse.ArgumentParser()
parser.add_argument("--video", choices=VIDEO, required=True)
parser.add_argument("--audio", choices=AUDIO)
parser.add_argument("--digest")
parser.add_argument("--basic")
parser.add_argument("--certificate")
parser.add_argument("--udp-only", action="store_true")
arguments = parser.parse_args()

Gst.init(None)
launch = (
    "( videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! "
    + VIDEO[arguments.video]
)
if arguments.audio:
    launch += (
        f" audiotestsrc is-live=true ! audio/x-raw,rate={RATE[arguments.audio]},channels=1 ! "
        + AUDIO[arguments.audio]
    )
launch += " )"

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(launch)
factory.set_shared(True)
if arguments.udp_only:
    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)

credentials = arguments.digest or arguments.basic
if credentials or arguments.certificate:
    auth = GstRtspServer.RTSPAuth()
    if arguments.certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(arguments.certificate))
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    if credentials:
        user, password = credentials.split(":", 1)
        if arguments.digest:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            basic = GstRtspServer.RTSPAuth.make_basic(user, password)
            auth.add_basic(basic, token)
    else:
        auth.set_default_token(token)
    server.set_auth(auth)

server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
loop = GLib.MainLoop()


def until_closed():
    sys.stdin.read()
    loop.quit()


threading.Thread(target=until_closed, daemon=True).start()
print(server.get_bound_port(), flush=True)
loop.run()
