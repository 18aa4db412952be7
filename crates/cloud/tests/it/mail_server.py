"""A mail server that others wrote (aiosmtpd), as the tests want it: what it took, a JSON object a line."""
import asyncio
import json
import os
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

folder, port, security = sys.argv[1], int(sys.argv[2]), sys.argv[3]
answers = os.path.join(folder, "answers")


def scripted():
    """The next answer that the test wants to a recipient, if there is one."""
    try:
        with open(answers) as file:
            lines = file.read().split("\n")
    except FileNotFoundError:
        return None
    first, rest = lines[0], [line for line in lines[1:] if line]
    with open(answers, "w") as file:
        file.write("\n".join(rest))
    return first or None


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = scripted()
        if answer:
            print(json.dumps({"refused": address, "answer": answer}), flush=True)
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        took = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "user": (session.auth_data or b"").decode() if session.authenticated else None,
            "mail": envelope.content.decode(),
        }
        print(json.dumps(took), flush=True)
        # What is read by its receiver before the sender hears that it was taken.
        while os.path.exists(os.path.join(folder, "slow")):
            await asyncio.sleep(0.05)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"lenskeep", b"correct horse")
    return AuthResult(success=good, handled=False, auth_data=data.login)


context = None
if security == "starttls":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "chain.pem"), os.path.join(folder, "key.pem"))


class Here(Controller):
    def factory(self):
        return SMTP(
            self.handler,
            hostname="mail.example",
            tls_context=context,
            require_starttls=context is not None,
            auth_required=context is not None,
            authenticator=authenticate,
        )


Here(Handler(), hostname="127.0.0.1", port=port).start()
print(json.dumps({"ready": True}), flush=True)
while True:
    time.sleep(60)
