"""A back end of Hocket in Python with Django, in one file. README.md in the folder above says how to run it."""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.request
from base64 import urlsafe_b64encode
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

PORT, HOCKET_URL, API_KEY = os.environ["PORT"], os.environ["HOCKET_URL"], os.environ["HOCKET_API_KEY"]
TOKEN_SECRET, HOOK_SECRET = os.environ["HOCKET_TOKEN_SECRET"].encode(), os.environ["HOCKET_HOOK_SECRET"].encode()
CAPABILITIES = {"chat:*": ["subscribe", "publish"]}
HOUR = 3600  # seconds

# Without middleware: your site has CsrfViewMiddleware, and then hook needs @csrf_exempt.
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"], SECRET_KEY=os.urandom(32).hex())


def visitor(request):
    """Where request.user goes: this example believes what it is told."""
    return request.GET.get("user", "")


@require_GET
def page(request):
    return HttpResponse((Path(__file__).parent.parent / "page.html").read_bytes())


@require_GET
def ticket(request):
    made = api("tickets", {"user": visitor(request), "capabilities": CAPABILITIES})
    return HttpResponse(made["ticket"], content_type="text/plain")


@require_GET
def token(request):
    text = sign({"sub": visitor(request), "exp": int(time.time()) + HOUR, "capabilities": CAPABILITIES})
    response = HttpResponse(text, content_type="text/plain")
    response.set_cookie("__Host-hocket_session", text, max_age=HOUR, secure=True, httponly=True, samesite="Strict")
    return response


@require_POST
def say(request):
    payload = {"from": visitor(request), "text": json.loads(request.body)["text"]}
    api("publish", {"channel": "chat:lobby", "payload": payload})
    return HttpResponse(status=204)


@require_POST
def hook(request):
    if not from_hocket(request):
        return HttpResponse("not signed by Hocket", status=401)
    asked = json.loads(request.body)
    if asked["hook"] == "subscribe" and asked["channel"] == "chat:staff":
        return JsonResponse({"deny": {"code": 10001, "name": "staff_only", "message": "this room is for the staff"}})
    if asked["hook"] == "publish":
        text = str(asked["payload"]["text"]).replace("darn", "d**n")
        return JsonResponse({"allow": True, "payload": {"from": asked["user"], "text": text}})
    return JsonResponse({"allow": True})


def from_hocket(request):
    timestamp = request.headers.get("Hocket-Timestamp", "")
    if not (timestamp.isdecimal() and abs(time.time() * 1000 - int(timestamp)) < 300_000):
        return False
    want = "v1=" + hmac.new(HOOK_SECRET, timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    signatures = request.headers.get("Hocket-Signature", "").split(",")
    return any(hmac.compare_digest(have.strip().encode(), want.encode()) for have in signatures)


def sign(claims):
    """A JSON Web Token, HS256 (RFC 7515), as jwt.encode of PyJWT makes it too."""
    text = b".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + base64url(hmac.digest(TOKEN_SECRET, text, "sha256"))).decode()


def base64url(b):
    return urlsafe_b64encode(b).rstrip(b"=")


def api(method, params):
    """Calls a method of Hocket and returns its result."""
    request = urllib.request.Request(
        f"{HOCKET_URL}/api/v1/{method}", json.dumps(params).encode(), {"Authorization": f"Bearer {API_KEY}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["result"]


urlpatterns = [path("", page), path("ticket", ticket), path("token", token), path("say", say), path("hook", hook)]

if __name__ == "__main__":
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", f"127.0.0.1:{PORT}"])
