#!/usr/bin/python3
"""Sealed requests as core/src/secret/SEALED.md specifies them, a second time: by Python's `cryptography`, from that page.

    sealed.py talk REQUEST...   each line on standard output is a request for the agent, each on standard input its answer;
                                at the end the answers that were in the sealed ones stand on standard error
    sealed.py check VECTORS     whether the test vectors are what this makes of them
    sealed.py make              new test vectors, on standard output
"""
import base64
import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# e, as many digits as the group's definition needs (RFC 7919, appendix A.1).
E, TERM, N = 0, 1 << 2200, 1
while TERM:
    E, TERM, N = E + TERM, TERM // N, N + 1
P = 2**2048 - 2**1984 + ((E >> (2200 - 1918)) + 560316) * 2**64 - 1
assert P % 2**64 == 2**64 - 1 and pow(2, P - 1, P) == 1
GROUP = "ffdhe2048"


def number(value):
    return value.to_bytes(256, "big")


def public(private):
    return number(pow(2, private, P))


def derive(private, other, host, guest):
    """The keys of both directions, each for cipher and code."""
    theirs = int.from_bytes(other, "big")
    if len(other) != 256 or not 2 <= theirs <= P - 2:
        raise ValueError("no public key")
    salt = hashlib.sha256(GROUP.encode() + host + guest).digest()
    okm = HKDF(hashes.SHA256(), 128, salt, b"nanova sealed 1").derive(number(pow(theirs, private, P)))
    return {"to_guest": (okm[:32], okm[32:64]), "to_host": (okm[64:96], okm[96:])}


def cbc(key, counter):
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return Cipher(algorithms.AES(key), modes.CBC(block.update(counter.to_bytes(16, "big"))))


def seal(keys, counter, message):
    pad, cipher = padding.PKCS7(128).padder(), cbc(keys[0], counter).encryptor()
    body = counter.to_bytes(8, "big") + cipher.update(pad.update(message) + pad.finalize()) + cipher.finalize()
    return base64.b64encode(body + hmac.digest(keys[1], body, "sha256")).decode()


def unseal(keys, frame):
    frame = base64.b64decode(frame, validate=True)
    body, code = frame[:-32], frame[-32:]
    if len(body) < 24 or len(body) % 16 != 8:
        raise ValueError("no frame")
    if not hmac.compare_digest(hmac.digest(keys[1], body, "sha256"), code):
        raise ValueError("wrong code")
    counter, pad = int.from_bytes(body[:8], "big"), padding.PKCS7(128).unpadder()
    cipher = cbc(keys[0], counter).decryptor()
    return counter, pad.update(cipher.update(body[8:]) + cipher.finalize()) + pad.finalize()


def ask(name, value):
    print(json.dumps({"name": name, "value": value}), flush=True)
    answer = json.loads(sys.stdin.readline())
    return answer["returncode"], answer["message"]


def talk(requests):
    private = int.from_bytes(os.urandom(32), "big")
    ours = public(private)
    code, theirs = ask("keyinit", {"group": GROUP, "public": base64.b64encode(ours).decode()})
    assert code == "D0", (code, theirs)
    theirs = base64.b64decode(theirs, validate=True)
    keys = derive(private, theirs, ours, theirs)
    for counter, request in enumerate(requests, 1):
        code, message = ask("sealed", seal(keys["to_guest"], counter, request.encode()))
        assert code == "0", (code, message)
        answered, answer = unseal(keys["to_host"], message)
        assert answered == counter, (answered, counter)
        print(answer.decode(), file=sys.stderr, flush=True)


def make():
    host, guest = (int.from_bytes(hashlib.sha256(name).digest(), "big") for name in (b"host", b"guest"))
    ours, theirs = public(host), public(guest)
    keys = derive(host, theirs, ours, theirs)
    assert keys == derive(guest, ours, ours, theirs)
    sealed = []
    for direction, counter, message in [
        ("to_guest", 1, '{"name":"version","value":""}'),
        ("to_host", 1, '{"returncode":"0","message":"1.0.0"}'),
        ("to_guest", 2, ""),
        ("to_guest", 3, "fifteen of text"),
        ("to_guest", 64, "sixteen of text."),
        ("to_guest", 2**64 - 1, json.dumps({"name": "password", "value": "correct horse"})),
        ("to_guest", 4, "x" * 2911),
        ("to_host", 4, "y" * 1359),
    ]:
        frame = seal(keys[direction], counter, message.encode())
        sealed.append({"direction": direction, "counter": str(counter), "message": message, "frame": frame})
    good = base64.b64decode(sealed[0]["frame"])
    bad = {
        "another direction's": seal(keys["to_host"], 9, b"{}"),
        "a bit of the counter": good[:7] + bytes([good[7] ^ 1]) + good[8:],
        "a bit of the message": good[:8] + bytes([good[8] ^ 128]) + good[9:],
        "a bit of the code": good[:-1] + bytes([good[-1] ^ 1]),
        "a block less": good[:24] + good[-32:],
        "a byte less": good[:-1],
        "no block": seal_raw(keys["to_guest"], (9).to_bytes(8, "big")),
        "nothing": b"",
        "no base64": "AAA",
        "a padding of none": seal_raw(keys["to_guest"], (9).to_bytes(8, "big") + encrypt(keys["to_guest"], 9, bytes(16))),
    }
    refused = {why: base64.b64encode(frame).decode() if isinstance(frame, bytes) else frame for why, frame in bad.items()}
    value = {"group": GROUP, "public": base64.b64encode(ours).decode()}
    p = [base64.b64encode(number(n % 2**2048)).decode() for n in (0, 1, P - 1, P, P + 1)]
    return {
        "host_private": "%064x" % host,
        "guest_private": "%064x" % guest,
        "keyinit": value,
        "answer": base64.b64encode(theirs).decode(),
        "keys": {name: [key.hex() for key in pair] for name, pair in keys.items()},
        "sealed": sealed,
        "refused_by_guest": refused,
        "no_public_keys": p + [base64.b64encode(ours[1:]).decode(), base64.b64encode(bytes(1) + ours).decode()],
    }


def seal_raw(keys, body):
    return body + hmac.digest(keys[1], body, "sha256")


def encrypt(keys, counter, blocks):
    cipher = cbc(keys[0], counter).encryptor()
    return cipher.update(blocks) + cipher.finalize()


if sys.argv[1] == "talk":
    talk(sys.argv[2:])
elif sys.argv[1] == "make":
    print(json.dumps(make(), indent=1))
else:
    with open(sys.argv[2]) as file:
        assert json.load(file) == make(), "the vectors are others"
