# SPDX-License-Identifier: Apache-2.0
"""An HTTP archive (HAR 1.2) of what a page asked for."""
import datetime

MOST = 5000
LONGEST = 8192


class Recorder:
    """Takes the network's events, and makes entries of them."""

    def __init__(self, version):
        self.version = version
        self.started = {}
        self.entries = []
        self.begun = now(None)

    def watch(self, method, params):
        """Takes one event; others than the network's are none of its business."""
        handler = self.handlers.get(method)
        if handler and len(self.entries) + len(self.started) < MOST:
            handler(self, params)

    def on_request(self, params):
        number = params["requestId"]
        if number in self.started and "redirectResponse" in params:
            self.on_response({"requestId": number, "response": params["redirectResponse"]})
            self.finish(number, params["timestamp"])
        request = params["request"]
        self.started[number] = {
            "at": params["timestamp"],
            "entry": {
                "startedDateTime": now(params["wallTime"]),
                "time": 0,
                "request": {
                    "method": request["method"],
                    "url": (request["url"] + request.get("urlFragment", ""))[:LONGEST],
                    "httpVersion": "",
                    "cookies": [],
                    "headers": headers(request.get("headers")),
                    "queryString": [],
                    "headersSize": -1,
                    "bodySize": len(request.get("postData", "")),
                },
                "response": nothing(),
                "cache": {},
                "timings": {"send": 0, "wait": 0, "receive": 0},
                "_resourceType": params.get("type", "Other").lower(),
            },
        }

    def on_response(self, params):
        started = self.started.get(params["requestId"])
        if not started:
            return
        response = params["response"]
        started["entry"]["response"] = {
            "status": response["status"],
            "statusText": response.get("statusText", ""),
            "httpVersion": response.get("protocol", ""),
            "cookies": [],
            "headers": headers(response.get("headers")),
            "content": {"size": 0, "mimeType": response.get("mimeType", "")},
            "redirectURL": header(response.get("headers"), "location"),
            "headersSize": -1,
            "bodySize": -1,
        }
        started["entry"]["serverIPAddress"] = response.get("remoteIPAddress", "")
        started["answered"] = params.get("timestamp", started["at"])

    def on_data(self, params):
        started = self.started.get(params["requestId"])
        if started and "content" in started["entry"]["response"]:
            started["entry"]["response"]["content"]["size"] += params["dataLength"]

    def on_finished(self, params):
        started = self.started.get(params["requestId"])
        if started:
            started["entry"]["response"]["bodySize"] = int(params.get("encodedDataLength", -1))
            self.finish(params["requestId"], params["timestamp"])

    def on_failed(self, params):
        started = self.started.get(params["requestId"])
        if started:
            reason = params.get("blockedReason") or params.get("errorText", "")
            started["entry"]["response"]["_error"] = reason
            self.finish(params["requestId"], params["timestamp"])

    def finish(self, number, at):
        started = self.started.pop(number)
        entry = started["entry"]
        answered = started.get("answered", at)
        entry["time"] = milliseconds(at - started["at"])
        entry["timings"]["wait"] = milliseconds(answered - started["at"])
        entry["timings"]["receive"] = milliseconds(at - answered)
        self.entries.append(entry)

    def document(self, info):
        """The archive; requests that have no answer yet are in it, too."""
        title, _ = info
        entries = self.entries + [started["entry"] for started in self.started.values()]
        entries.sort(key=lambda entry: entry["startedDateTime"])
        page = {"startedDateTime": self.begun, "id": "page", "title": title, "pageTimings": {}}
        for entry in entries:
            entry["pageref"] = "page"
        return {
            "log": {
                "version": "1.2",
                "creator": {"name": "browse", "version": "1"},
                "browser": {"name": "Chromium", "version": self.version},
                "pages": [page],
                "entries": entries,
            }
        }

    handlers = {
        "Network.requestWillBeSent": on_request,
        "Network.responseReceived": on_response,
        "Network.dataReceived": on_data,
        "Network.loadingFinished": on_finished,
        "Network.loadingFailed": on_failed,
    }


def nothing():
    """The response of a request that has none."""
    return {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
            "content": {"size": 0, "mimeType": ""}, "redirectURL": "", "headersSize": -1,
            "bodySize": -1}


def headers(found):
    return [{"name": name, "value": value[:LONGEST]} for name, value in (found or {}).items()][:200]


def header(found, wanted):
    return next((value for name, value in (found or {}).items() if name.lower() == wanted), "")


def milliseconds(seconds):
    return round(max(seconds, 0) * 1000, 3)


def now(seconds):
    zone = datetime.timezone.utc
    moment = (datetime.datetime.now(zone) if seconds is None
              else datetime.datetime.fromtimestamp(seconds, zone))
    return moment.isoformat(timespec="milliseconds")
