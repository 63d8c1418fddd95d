"""Requests that the stand-in Flywheel site answers."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support import flywheel_metadata
from tests.support.flywheel_http import Expired, Fault, Outage, Replace, Request, Responder, Upload
from tests.support.flywheel_job_records import Call
from tests.support.flywheel_jobs import ORIGIN, USER
from tests.support.flywheel_lists import Record, Refusal, selected

STORAGE_HEADERS = {"x-storage-class": "standard"}
FOR_ANY_CLIENT = ("config", "version", "auth")
"""Parts of the responses that do not depend on X-Accept-Feature."""


class Handler(Responder):
    """Handler for the requests of one connection."""

    def _answer(self) -> None:
        self.site = self.server.site
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, url.path, query, dict(self.headers), body)
        self.site.requests.append(request)
        self.request = request
        self.site.closing.wait(self.site.latency)
        try:
            if fault := self._fault("any"):
                self._send(b"", fault)
                return
            self._route([unquote(part) for part in url.path.split("/")[1:]], query, body)
        except (Refusal, KeyError) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(404)
            answer = {"message": refusal.message, "status_code": refusal.code}
            text = json.dumps(answer)
            if url.path.startswith("/storage/"):
                text = f"<Error><Message>{refusal.message}</Message><Key>{self.path}</Key></Error>"
            self._send(text.encode(), code=refusal.code)

    do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

    def _route(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        site = self.site
        if parts[0] == "storage":
            self._route_storage(parts[1], query, body)
            return
        self.origin = site.origin_of(self.headers["Authorization"])
        self._admit(parts[1])
        match self.command, *parts:
            case _, "api", ("config" | "version" | "auth" | "lookup"), *_:
                self._route_site(parts[1:], query, body)
            case _, "api", ("gears" | "jobs" | "batch"), *_:
                self._route_jobs(parts[1:], query, body)
            case "GET", "api", ("users" | "sessions") as plural, wanted_id, "jobs":
                listed = partial(self._listed, query=query)
                answer = site.queue.below(Call("GET", [plural, wanted_id], query, body, listed))
                self._send_json(answer, f"{wanted_id}/jobs")
            case "GET", "api", ("projects" | "subjects" | "sessions" | "acquisitions") as plural:
                self._send_json(self._page("", plural, query), plural)
            case "GET", "api", "containers", wanted_id:
                found = {"container_type": site.types[wanted_id], **site.containers[wanted_id]}
                self._send_json(self._shown(found), wanted_id)
            case "GET", "api", plural, wanted_id:
                self._send_json(self._shown(self._container(plural, wanted_id)), wanted_id)
            case (
                "GET",
                "api",
                plural,
                wanted_id,
                ("subjects" | "sessions" | "acquisitions") as children,  # type: ignore[misc]
            ):
                self._container(plural, wanted_id)
                self._send_json(self._page(wanted_id, children, query), wanted_id)
            case "GET", "api", plural, container_id, "files", name, *what:
                files = self._container(plural, container_id)["files"]
                self._route_file({file["name"]: file for file in files}[name], what)
            case (("POST" | "PATCH"), "api", *_, ("info" | "tags")):
                self._send_json(self._change_metadata(parts[1:], json.loads(body)), "metadata")
            case "POST", "api", plural, container_id, ("files" | "rules") as what:  # type: ignore[misc]
                self._container(plural, container_id)
                take = self._take_upload if what == "files" else self._take_rule
                take(plural.removesuffix("s"), container_id, query, body)
            case _:
                raise Refusal(404)

    def _route_file(self, record: dict[str, Any], what: list[str]) -> None:
        if what == ["info"]:
            self._send_json(self._file_shown(record), f"{record['file_id']}/info")
        elif what:
            raise Refusal(404)
        else:
            self._give(record["file_id"])

    def _change_metadata(self, parts: list[str], body: Any) -> object:
        """Change one key or tag. Older sites have no ids of files, and POST instead of PATCH."""
        site = self.site
        if site.is_read_only:
            raise Refusal(403, f"User {USER} does not have rw access to {parts[0]} {parts[1]}")
        is_old, is_patch = site.is_old, self.command == "PATCH"
        with site.lock:
            match parts:
                case "files", file_id, "tags" if is_patch and not is_old:
                    record = site.file(file_id)
                    return flywheel_metadata.add_tags(record, body, conflicts=False)
                case plural, container_id, "tags" if not is_patch:
                    record = self._container(plural, container_id)
                    flywheel_metadata.add_tags(record, [body["value"]], conflicts=True)
                    return {"modified": 1}
                case plural, container_id, *file, "info" if is_patch is not is_old:
                    record = self._container(plural, container_id)
                    if file:
                        record = {one["name"]: one for one in record["files"]}[file[1]]
                    return flywheel_metadata.set_info(record, body)
        raise Refusal(405)

    def _route_storage(self, wanted: str, query: dict[str, str], body: bytes) -> None:
        """Respond as a separate storage, which requires only a valid signature."""
        signature = query.get("signature", "")
        if "Authorization" in self.headers:
            raise Refusal(400)
        if signature not in self.site.signatures:
            raise Refusal(403)
        fault = self._fault(wanted if self.command == "GET" else "storage")
        if isinstance(fault, Expired):
            self.site.signatures.discard(signature)
            raise Refusal(fault.code)
        if self.command == "GET":
            self._send_file(wanted, fault)
        else:
            self._store(wanted, body, fault)

    def _signed(self, wanted: str) -> str:
        """Return a signed URL, different each time."""
        signature = f"hush-{self.site.new_id()}"
        self.site.signatures.add(signature)
        return f"{self.site.storage_url}/storage/{wanted}?signature={signature}"

    def _admit(self, what: str) -> None:
        """Reject a client without the features of current clients."""
        missing = [feature for feature in self.site.features if not self._wants(feature)]
        if missing and what not in FOR_ANY_CLIENT:
            raise Refusal(400, f"X-Accept-Feature lacks {missing}")

    def _give(self, file_id: str) -> None:
        """Send a file, or redirect to its storage."""
        site = self.site
        if not site.signed_url:
            self._send_file(file_id, self._fault(file_id))
            return
        self.send_response(302)
        self.send_header("Location", self._signed(file_id))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_file(self, file_id: str, fault: Fault | None) -> None:
        if isinstance(fault, Replace):
            self.site.replace_file(file_id, fault.content)
            fault = None
        if isinstance(fault, Outage):
            self.site.fault("any", *[fault.fault] * (fault.requests - 1))
            fault = fault.fault
        self._send(self.site.contents[file_id], fault)

    def _route_site(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        site = self.site
        match self.command, *parts:
            case "GET", "config":
                self._send_json({"features": {"signed_url": site.signed_url}})
            case "GET", "version":
                self._send_json({"release": "18.3.0"})
            case "GET", "auth", "status":
                self._send_json({"origin": ORIGIN, "user_id": USER, "user_is_admin": site.is_admin})
            case "POST", "lookup":
                path = json.loads(body)["path"]
                if not self._is_shown(query) and path[0] != "gears":
                    raise Refusal(404, "No node matched that path")
                self._send_json(self._shown(site.resolve(path)), "lookup")
            case _:
                raise Refusal(404)

    def _route_jobs(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        site = self.site
        wanted_id = parts[0] if parts[-1] in (parts[0], "jobs", "add") else parts[1]
        with site.lock:
            listed = partial(self._listed, query=query)
            answer = site.queue.route(Call(self.command, parts, query, body, listed))
            text = self._encoded(answer)
        self._send(text, self._fault(wanted_id))

    def _container(self, plural: str, wanted_id: str) -> dict[str, Any]:
        if f"{self.site.types[wanted_id]}s" != plural:
            raise Refusal(404)
        return self.site.containers[wanted_id]

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        hidden = ["files"] if self._wants("exclude-files") else []
        shown = {key: value for key, value in record.items() if key not in hidden}
        if "files" in shown:  # Current sites show the custom information of a file on its own.
            shown["files"] = [self._file_shown({**file, "info": {}}) for file in shown["files"]]
        subject = self.site.containers.get(record.get("parents", {}).get("subject", ""))
        if subject and self.site.types.get(record.get("_id", "")) == "session":
            code = subject.get("label")
            shown["subject"] = {"_id": subject["_id"], "label": code, "code": code}
        return shown

    def _file_shown(self, record: dict[str, Any]) -> dict[str, Any]:
        hidden = ("file_id", "version") if self.site.is_old else ()
        return {key: value for key, value in record.items() if key not in hidden}

    def _wants(self, feature: str) -> bool:
        return feature in self.headers.get("X-Accept-Feature", "").lower()

    def _page(self, parent_id: str, children: str, query: dict[str, str]) -> object:
        site, is_shown = self.site, self._is_shown(query)
        with site.lock:
            below = [
                {key: value for key, value in self._shown(record).items() if key != "info"}
                for child_id, record in site.containers.items()
                if is_shown
                and f"{site.types[child_id]}s" == children
                and (not parent_id or parent_id in record["parents"].values())
            ]
        return self._listed(below, query)

    def _is_shown(self, query: dict[str, str]) -> bool:
        """Return whether the user can see the projects; reject users without permission."""
        is_exhaustive = query.get("exhaustive", "").lower() == "true"
        if is_exhaustive and not self.site.is_admin:
            raise Refusal(403, "Only site admins may ask for an exhaustive list")
        return is_exhaustive or self.site.is_member

    def _listed(self, records: Iterable[Record], query: dict[str, str]) -> object:
        """Return a list in the form the client accepts: bare, or a page with its total size."""
        page, total = selected(
            records,
            query if self.site.applies_filters else {**query, "filter": ""},
            page_limit=self.site.page_limit,
            supports_after_id=self.site.supports_after_id,
            has_old_filters=self.site.is_old,
        )
        if self._wants("pagination"):
            return {"results": page, "count": len(page), "total": total}
        return page

    def _take_rule(self, _kind: str, project_id: str, _query: dict[str, str], body: bytes) -> None:
        self._send_json(self.site.rules.add(project_id, json.loads(body)))

    def _take_upload(
        self, kind: str, container_id: str, query: dict[str, str], body: bytes
    ) -> None:
        site = self.site
        if site.is_read_only or site.upload_status is not None:
            raise Refusal(site.upload_status or 403)
        if query.get("ticket") == "":
            if site.ticket_status == HTTPStatus.OK:
                self._send_json([])  # Content uploaded by a request without a file.
                return
            if site.ticket_status:
                raise Refusal(site.ticket_status)
            (name,) = json.loads(body)["filenames"]
            ticket = site.new_id()
            site.tickets[ticket] = Upload(kind, container_id, name, b"")
            urls = {name: self._signed(ticket)}
            self._send_json({"ticket": ticket, "urls": urls, "headers": STORAGE_HEADERS})
            return
        if "ticket" in query:
            upload = site.tickets.pop(query["ticket"])
        else:
            upload = Upload(kind, container_id, *self._form_file(body))
        site.attach(container_id, upload.name, upload.content, self.origin)
        self._send_json(site.containers[container_id]["files"][-1:])

    def _form_file(self, body: bytes) -> tuple[str, bytes]:
        boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
        for part in body.split(b"--" + boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if found := re.search(rb'; name="file"; filename="([^"]*)"', head):
                return unquote(found[1].decode()), content.removesuffix(b"\r\n")
        raise Refusal(400)

    def _store(self, ticket: str, body: bytes, fault: Fault | None) -> None:
        if any(self.headers[key] != value for key, value in STORAGE_HEADERS.items()):
            raise Refusal(400)
        self.site.tickets[ticket] = replace(self.site.tickets[ticket], content=body)
        self._send(b"", fault)
