"""This module is the models that agents ask: whose API, where it is, and the key that reaches those agents alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from constructs import Construct

from mcpmesh_k8s.kubernetes import (
    Choice,
    Component,
    External,
    Internet,
    Listener,
    Manifest,
    Peer,
    Pod,
    SecretKey,
    SettingError,
    dataclass,
    variables,
)

from .agent import Agent, Api

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


class ModelVendor(Choice):
    """Whose API it speaks. What reads its key differs from language to language (3.x; LiteLLM reads the same)."""

    ANTHROPIC = "anthropic", "Claude, at api.anthropic.com."
    OPENAI = "openai", "OpenAI at api.openai.com, or whoever speaks its API: vLLM, Ollama, a proxy of LiteLLM."
    GOOGLE = "google", "Gemini by a key of Google AI Studio, at generativelanguage.googleapis.com."

    @property
    def host(self) -> str:
        """Where it is unless said."""
        hosts = {
            ModelVendor.ANTHROPIC: "api.anthropic.com",
            ModelVendor.OPENAI: "api.openai.com",
            ModelVendor.GOOGLE: "generativelanguage.googleapis.com",
        }
        return hosts[self]

    def key_variable(self, language: str) -> str:
        """What an agent in a language reads the key from."""
        if self is not ModelVendor.GOOGLE:
            return f"{self.value.upper()}_API_KEY"
        of_others = {"TypeScript": "GOOGLE_GENERATIVE_AI_API_KEY", "Java": "GOOGLE_AI_GEMINI_API_KEY"}
        return of_others.get(language, "GOOGLE_API_KEY")

    @property
    def url_variable(self) -> str:
        """What an agent reads the address from; empty where it reads none."""
        return "" if self is ModelVendor.GOOGLE else f"{self.value.upper()}_BASE_URL"


@dataclass(frozen=True, kw_only=True)
class ModelProviderSettings:
    """An API of models.

    Args:
        name: What people call it, such as ``anthropic``.
        vendor: Whose API it speaks.
        base_url: Where it is, such as ``https://models.example.com/v1``; the vendor's own unless given. Agents in Java
            read it from their ``application.yml``.
        peer: Where that is, as far as a policy can say. Where it listens on another port than clients dial, as a
            `Listener`.
        key_variable: The variable that the code reads the key from; what the runtime of its language reads unless
            given.
    """

    name: str
    vendor: ModelVendor
    base_url: str = ""
    peer: Peer | tuple[Listener, ...] = Internet()
    key_variable: str = ""

    def __post_init__(self) -> None:
        """Refuse an address that is none, or that nobody would read."""
        where = f"ModelProviderSettings.base_url of {self.name!r}"
        if self.base_url:
            try:
                parts = urlsplit(self.base_url)
                _ = parts.port
            except ValueError as error:
                raise SettingError(where, self.base_url, f"Give a URL that can be: {error}.") from None
            blank = not self.base_url.isprintable() or " " in self.base_url
            known = parts.scheme in ("http", "https") and parts.hostname
            if blank or not known or parts.username or parts.query:
                raise SettingError(where, self.base_url, "Give a URL such as 'https://models.example.com/v1'.")
            if not self.vendor.url_variable:
                raise SettingError(
                    where, self.base_url, "Gemini's client reads no address. Give OPENAI, whose API Google speaks too."
                )
        if self.key_variable and not _VARIABLE.fullmatch(self.key_variable):
            raise SettingError(
                f"ModelProviderSettings.key_variable of {self.name!r}", self.key_variable, "Give capitals and '_'."
            )

    def given_to(self, language: str, key: SecretKey) -> External:
        """The API, as an agent in a language sees it."""
        url = urlsplit(self.base_url or f"https://{self.vendor.host}")
        address = {self.vendor.url_variable: self.base_url} if self.base_url else {}
        return External(
            name=f"{self.name} API",
            hosts=(url.hostname or "",),
            port=url.port or (443 if url.scheme == "https" else 80),
            peer=self.peer,
            introduction=variables({self.key_variable or self.vendor.key_variable(language): key, **address}),
        )


class ModelProvider(Component):
    """An API of models, whose key reaches the agents that stand in front of it, and no other pod.

    ``anthropic.serve(claude)`` opens the way out and introduces address and key. Nothing is rendered beside.

    Args:
        scope: A Phase.
        settings: Whose API, and where.
        key: The key, in a Secret of its own best: ``secret.key("api-key")``.
    """

    def __init__(self, scope: Construct, settings: ModelProviderSettings, key: SecretKey) -> None:
        super().__init__(scope, f"model-{settings.name}", settings.name)
        self.settings = settings
        self.key = key
        self._served: list[Pod] = []

    def serve(self, *agents: Agent | Api) -> None:
        """Let agents ask it.

        Args:
            agents: Who stands in front of it. Others ask them, and need no key.

        Raises:
            SettingError: One is served already.
        """
        for agent in agents:
            if agent.application is not self.application:
                raise SettingError(
                    f"{self.settings.name} serve",
                    agent.full_name,
                    "It is of another application, where this key is not. Give it a ModelProvider there.",
                )
            agent.connects_to(self.settings.given_to(agent.settings.program.language, self.key))
            self._served.append(agent)

    @property
    def served(self) -> Sequence[Pod]:
        """Whom its key reaches."""
        return tuple(self._served)

    def problems(self) -> Sequence[str]:
        """Who has its key and was not said to; and that nobody was."""
        if not self._served:
            return (
                f"{self.full_name} serves nobody, so its key and the way to it reach none: say to whom, "
                f"{self.name}.serve(agent), or take it out.",
            )
        return tuple(self._leaks())

    def _leaks(self) -> Iterator[str]:
        for pod in self.application.find_all(Pod):
            if pod in self._served:
                continue
            if names := list(_reads(pod, self.key)):
                yield (
                    f"{pod.full_name} has the key of {self.settings.name} ({self.key}) as {', '.join(names)}: leave it "
                    f"out and ask an agent that has it, or say so: {self.name}.serve({pod.name})."
                )

    def manifests(self) -> list[Manifest]:
        """Nothing of its own."""
        return []


def _reads(pod: Pod, key: SecretKey) -> Iterator[str]:
    """The variables and folders by which a pod gets a key."""
    for container in (*pod.containers, *pod.init_containers):
        yield from (one.name for one in container.variables if one.value == key)
        for volume in container.volumes:
            if any(secret == key.secret and (not keys or key.key in keys) for secret, keys in volume.secrets):
                yield volume.mount_path
