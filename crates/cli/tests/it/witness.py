"""A witness (C2SP tlog-witness) made of an implementation that is not ours: it prints its key and port, and remembers as long as it runs."""

import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from aics_tlog import cosignature_vkey, parse_checkpoint, parse_note, parse_vkey, sign_cosignature, verify_consistency, verify_note
from aics_tlog.note import Note, b64_decode, format_vkey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "witness.example/others"
secret = Ed25519PrivateKey.generate()
log = parse_vkey(sys.argv[1])
signed = (0, b"")


class Witness(BaseHTTPRequestHandler):
    def do_POST(self):
        global signed
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        head, text = body.split("\n\n", 1)
        old, *proof = head.split("\n")
        assert self.path == "/add-checkpoint" and old.startswith("old "), body
        old = int(old.removeprefix("old "))
        note = parse_note(text)
        checkpoint = parse_checkpoint(note.text)
        if not verify_note(note, [log]):
            return self.answer(403)
        if old != signed[0]:
            return self.answer(409, f"{signed[0]}\n", "text/x.tlog.size")
        if old and not verify_consistency(old, checkpoint.size, signed[1], checkpoint.root, [b64_decode(line) for line in proof]):
            return self.answer(422)
        signed = (checkpoint.size, checkpoint.root)
        _, line = sign_cosignature(secret, NAME, int(time.time()), checkpoint.origin, *signed)
        self.answer(200, Note(note.text, (line,)).serialise().removeprefix(note.text + "\n"))

    def answer(self, status, text="", kind="text/plain"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Witness)
print(format_vkey(cosignature_vkey(NAME, secret.public_key())), server.server_port, flush=True)
server.serve_forever()
