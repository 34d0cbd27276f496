"""This module is an interview as Locust walks it: sign in, upload a résumé, start, answer, finish.

``locust --locustfile`` reads it, on this machine and in the cluster, where it is mounted as a file; nothing else of the
package is there, and Locust replaces what Python waits by when it is imported.

Each virtual user is a person. A step that goes wrong is counted by its name, and ends that person's interview: what
comes after it would fail by it. The program ends with 1 when more goes wrong, or takes longer, than it is told to bear.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping

from locust import FastHttpUser, events, task
from locust.env import Environment

STEPS = ("sign in", "upload a résumé", "start", "answer", "finish")
"""The steps, by the names under which they are counted."""

_BOUNDARY = "----a-resume"
_PAGE = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
_END = "\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def take_arguments(parser: ArgumentParser) -> None:
    """What it takes beside what Locust does; each by its variable, too."""

    def add(name: str, default: str | int | float, about: str) -> None:
        variable = f"LOAD_{name.upper().replace('-', '_')}"
        given = os.environ.get(variable, default)
        parser.add_argument(f"--{name}", type=type(default), default=type(default)(given), help=f"{about} [{variable}]")

    add("answers", 10, "how often each person answers")
    add("pause", 0.0, "seconds that a person thinks before each answer")
    add("role", "load-test", "the id of the role that people apply for: make one for it")
    add("resume-kb", 100, "the size of a résumé, in KiB")
    add("served-host", "", "the host that people type, where --host is an address inside the cluster")
    add("served-scheme", "https", "how they reach it, with --served-host")
    add("cookies", "", "the cookies of people who are signed in, a line each; {n} is the number of the virtual user")
    add("most-errors", 0.01, "the share of requests that may fail")
    add("most-milliseconds", 0, "what 95 of 100 requests may take; as long as they like unless given")


events.init_command_line_parser.add_listener(take_arguments)  # type: ignore[no-untyped-call] # Locust says none

_numbers: Iterator[int] = itertools.count(1)


class Person(FastHttpUser):
    """Somebody who is interviewed, again and again."""

    network_timeout = 310.0  # beyond the longest silence that the gateway bears
    connection_timeout = 10.0
    insecure = False

    def on_start(self) -> None:
        """Become somebody. A redirect is an answer: Locust and the client below it spell differently what says so."""
        for name in ("redirect_response_codes", "redirect_resonse_codes"):
            setattr(self.client.client, name, frozenset[int]())
        options = self.given
        number = next(_numbers)
        cookies = [line.strip() for line in str(options.cookies).splitlines() if line.strip()]
        self.known: dict[str, str] = {"Accept": "*/*"}
        if cookies:
            self.known["Cookie"] = cookies[(number - 1) % len(cookies)].replace("{n}", str(number))
        if options.served_host:
            # As an ingress controller would say it, which this stands in for: each person has an address.
            self.known["Host"] = str(options.served_host)
            self.known["X-Forwarded-Proto"] = str(options.served_scheme)
            self.known["X-Forwarded-For"] = f"198.18.{number // 250 % 250}.{number % 250 + 1}"
        self.resume = _PAGE + " " * (int(options.resume_kb) * 1024 - len(_PAGE) - len(_END)) + _END

    @property
    def given(self) -> Namespace:
        """What was given on the command line."""
        options = self.environment.parsed_options
        assert isinstance(options, Namespace)
        return options

    @task
    def interview(self) -> None:
        """One whole interview, as far as it goes."""
        options = self.given
        if not (
            self.step("sign in", "GET", "/")
            and self.step("upload a résumé", "POST", "/api/user/upload-resume", body=self.form(), form=True)
            and self.step("start", "POST", "/api/interviews/start", body={"role_id": options.role})
        ):
            # One that goes wrong at once must not become as many requests as the machine can make.
            time.sleep(0.2)
            return
        for number in range(int(options.answers)):
            if options.pause:
                time.sleep(options.pause)
            answer = {"answer": f"This is what I would do about question {number + 1}."}
            if not self.step("answer", "POST", "/api/interviews/answer", body=answer):
                return
        self.step("finish", "POST", "/api/interviews/end", body={})

    def form(self) -> str:
        """The résumé as a browser's form sends it."""
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="resume.pdf"\r\n'
            "Content-Type: application/pdf\r\n\r\n"
        )
        return f"{head}{self.resume}\r\n--{_BOUNDARY}--\r\n"

    def step(
        self, name: str, method: str, path: str, *, body: str | Mapping[str, str] | None = None, form: bool = False
    ) -> bool:
        """Ask, and whether what came is what a person could go on with."""
        headers = dict(self.known)
        if body is not None:
            headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}" if form else "application/json"
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        with self.client.request(method, path, name=name, data=data, headers=headers, catch_response=True) as answer:
            problem = wrong_with(name, int(answer.status_code or 0), answer.text or "")
            if problem:
                answer.failure(problem)
            else:
                answer.success()
        return not problem


def wrong_with(step: str, status: int, text: str) -> str:
    """What is wrong with an answer; nothing where all is well."""
    if 300 <= status < 400:
        return f"{status}: nobody is signed in"
    if status != 200:
        return f"{status or 'no answer'}"
    # The answer to an answer is a stream of events, and its status was sent before anybody knew.
    if step == "answer" and ('"type": "error"' in text or '"type": "expired"' in text or '"complete"' not in text):
        return "200, and the interview did not go on"
    return ""


def judge(environment: Environment, **_: object) -> None:
    """Say whether it was borne."""
    options, total = environment.parsed_options, environment.stats.total
    if options is None:
        return
    for error in environment.stats.errors.values():
        # Locust writes what was said of a failure as an exception of its own.
        said = re.sub(r"^CatchResponseError\(['\"](.*)['\"]\)$", r"\1", str(error.error))
        print(f"load test: {error.occurrences} x {error.name}: {said}", file=sys.stderr, flush=True)
    found: list[str] = []
    if total.num_requests == 0:
        found.append("nothing was asked")
    if total.fail_ratio > options.most_errors:
        found.append(f"{total.fail_ratio:.1%} of the requests failed, and {options.most_errors:.1%} may")
    late = total.get_response_time_percentile(0.95)
    if options.most_milliseconds and late > options.most_milliseconds:
        found.append(f"95 of 100 took up to {late} ms, and {options.most_milliseconds} ms are allowed")
    print(f"load test: {'; '.join(found) or 'all is well'}", file=sys.stderr, flush=True)
    environment.process_exit_code = 1 if found else 0


events.quitting.add_listener(judge)  # type: ignore[no-untyped-call] # Locust says none
