"""Speaks to Gradio's routes as its page does: functions are called by number, through the queue or directly."""

import json
import secrets


class Page:
    """One open page: a client with a session's name of its own choosing."""

    def __init__(self, client, session=None):
        self.client = client
        self.session = session or secrets.token_hex(6)
        self.config = client.get("/config").json()
        self.queued = [each["queue"] for each in self.config["dependencies"]]

    def body(self, function, data):
        return {
            "data": data,
            "fn_index": function,
            "session_hash": self.session,
            "event_data": None,
            "trigger_id": None,
        }

    def call(self, function, data=()):
        """Calls a function and returns what its outputs become; raises where it failed."""
        if self.queued[function] is False:
            reply = self.client.post("/gradio_api/run/predict", json=self.body(function, list(data)))
            assert reply.status_code == 200, reply.text
            return reply.json()["data"]
        *_, last = self.stream(function, data)
        assert last["msg"] == "process_completed" and last["success"], last
        return last["output"]["data"]

    def join(self, function, data=()):
        """Puts a call into the queue and returns its event's id."""
        reply = self.client.post("/gradio_api/queue/join", json=self.body(function, list(data)))
        assert reply.status_code == 200, reply.text
        return reply.json()["event_id"]

    def stream(self, function, data=()):
        """Puts a call into the queue and yields the messages of it, the last of which tells how it ended."""
        event = self.join(function, data)
        for message in self.messages():
            if message.get("event_id") == event:
                yield message
                if message["msg"] == "process_completed":
                    return

    def messages(self):
        """Yields what the queue has to say to this session."""
        with self.client.stream("GET", f"/gradio_api/queue/data?session_hash={self.session}") as reply:
            assert reply.status_code == 200, reply.status_code
            for line in reply.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))
