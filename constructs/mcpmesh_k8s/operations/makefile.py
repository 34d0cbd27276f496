"""This module is the make targets of the commands: a target for each, a make variable for each name of an option."""

from __future__ import annotations

import enum
import inspect
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from .commands import COMMANDS, Command
from .environment import Environment, SharedCluster

HEAD = """\
# Made from the operator's commands by `make targets`. Each target calls one, which knows images, names, ports and hosts
# from the typed application. What it must be told is a make variable:
#
{variables}
#
# Only what is given to make counts: a shell may have a variable of such a name for a purpose of its own. The file that
# includes this one says in OPERATE what is called, in VENV what must be there first, and in ANYWHERE which variables
# are no command's. It has the targets `synth`, which writes dist/, and `dist-check`, which wants it to be committed.

quoted = '$(subst ','\\'',$(1))'
given = $(if $(findstring command line,$(origin $(1))),$($(1)))
one = $(if $(call given,$(2)),$(1) $(call quoted,$(call given,$(2))))
each = $(foreach word,$(call given,$(2)),$(1) $(call quoted,$(word)))
flag = $(if $(call given,$(2)),$(if $(filter-out 1,$(call given,$(2))),$(error give $(2)=1, or leave it out),$(1)))

ENVIRONMENTS := {environments}
ENVIRONMENT := $(or $(call given,ENV),{default})
# What is rendered: written first for a cluster of one's own, and for a shared one what was committed.
{rendered}

{options}

with = $(foreach name,$(takes-$(1)),$(with-$(name)))
{takes}

GOALS := $(filter k8s-%,$(MAKECMDGOALS))
PATTERNS := {patterns}
taken = $(or $(takes-$(1)),$(foreach pattern,$(PATTERNS),$(if $(filter $(pattern),$(1)),$(takes-$(pattern)))))
TAKEN := $(sort $(foreach goal,$(GOALS),$(call taken,$(goal))))
ifneq ($(GOALS),)
$(foreach name,$(filter-out $(TAKEN) $(ANYWHERE) MAKEFLAGS SHELL,$(.VARIABLES)),$(if \\
  $(findstring command line,$(origin $(name))),$(error $(GOALS) takes no $(name), only: $(TAKEN))))
ifeq ($(filter $(ENVIRONMENT),$(ENVIRONMENTS)),)
$(error there is no environment $(ENVIRONMENT), only: $(ENVIRONMENTS))
endif
endif
"""
"""What stands before the targets."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What a command can be told.

    Args:
        names: Its make variables. An option of several names has several.
        option: The option; empty for an argument.
        example: What is given, such as ``FOLDER``.
        help: What it is for.
        is_flag: Whether it is given or not, without a value.
        is_list: Whether several words can be given.
        default: What holds unless it is given; empty where the help says it, or nothing does.
    """

    names: tuple[str, ...]
    option: str
    example: str
    help: str
    is_flag: bool
    is_list: bool
    default: str

    def assignment(self, environments: Sequence[str]) -> str:
        """How it is given: ``FOLLOW=1``, ``TARGET="TARGET …"``, ``ENV=dev|prod``."""
        example = "|".join(environments) if self.names == ("ENV",) else self.example
        value = "1" if self.is_flag else f'"{example} …"' if self.is_list else example
        return f"{self.names[0]}={value}"


def makefile(environments: Sequence[Environment]) -> str:
    """The text of ``k8s.mk``.

    Args:
        environments: Every environment that can be operated.
    """
    variables = {one.name: variables_of(one) for one in COMMANDS}
    known = {name: variable for several in variables.values() for variable in several for name in variable.names[::-1]}
    # A name that is the first of an option means that one, though another may have it too.
    known |= {variable.names[0]: variable for several in variables.values() for variable in several}
    rules: list[str] = []
    takes: dict[str, list[str]] = {}
    for group in dict.fromkeys(one.group for one in COMMANDS):
        rules.append(f"##@ {group}\n")
        for one in COMMANDS:
            if one.group == group:
                for target, rule, taken in rules_of(one, variables[one.name], environments):
                    rules.append(rule)
                    takes[target] = taken
    default = next((one for one in environments if not isinstance(one.cluster, SharedCluster)), environments[0])
    head = HEAD.format(
        variables="\n".join(f"#   {line}" for line in list_of_variables(environments)),
        environments=" ".join(one.name for one in environments),
        default=default.name,
        rendered="\n".join(f"rendered-{one.name} := {rendered(one)}" for one in environments),
        options="\n".join(f"with-{name} = {expansion(name, known[name])}" for name in known),
        takes="\n".join(f"takes-{target} := {' '.join(taken)}" for target, taken in takes.items()),
        patterns=" ".join(target for target in takes if "%" in target),
    )
    return f"{head}\n" + "\n".join(rules)


def rendered(environment: Environment) -> str:
    """The target by which what is rendered is right: it is written, or must have been committed."""
    return "dist-check" if isinstance(environment.cluster, SharedCluster) else "synth"


def variables_of(command: Command) -> tuple[Variable, ...]:
    """What a command can be told."""
    hints = get_type_hints(command.function, include_extras=True)
    defaults = {name: one.default for name, one in inspect.signature(command.function).parameters.items()}
    found: list[Variable] = []
    for name, hint in hints.items():
        if get_origin(hint) is not Annotated:
            continue
        kind, info = get_args(hint)
        if not isinstance(info, OptionInfo | ArgumentInfo):
            continue
        options = names_of(info) if isinstance(info, OptionInfo) else ()
        kinds = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
        found.append(
            Variable(
                names=tuple(map(make_variable, options)) or (str(info.metavar),),
                option=options[0] if options else "",
                example=str(info.metavar),
                help=str(info.help),
                is_flag=kind is bool,
                is_list=any(get_origin(one) is list for one in kinds),
                default="" if isinstance(defaults[name], (type(None), bool, type)) else default_text(defaults[name]),
            )
        )
    return tuple(found)


def default_text(default: object) -> str:
    """A default value as people give it."""
    return str(default.value if isinstance(default, enum.Enum) else default)


def names_of(option: OptionInfo) -> tuple[str, ...]:
    """The names of an option. The first that was given stands where a default value stood once."""
    first = (option.default,) if isinstance(option.default, str) else ()
    return (*first, *(option.param_decls or ()))


def make_variable(option: str) -> str:
    """The make variable of an option's name: ``APP_DIR`` for ``--app-dir``."""
    return option.lstrip("-").replace("-", "_").upper()


def every_variable() -> tuple[Variable, ...]:
    """Every make variable once: what it means to most commands, and then to those to which it means something else."""
    found: dict[str, dict[Variable, list[str]]] = {}
    for command in COMMANDS:
        for variable in variables_of(command):
            found.setdefault(variable.names[0], {}).setdefault(variable, []).append(command.name)
    return tuple(_of_all(meanings) for meanings in found.values())


def _of_all(meanings: Mapping[Variable, Sequence[str]]) -> Variable:
    usual, *others = sorted(meanings, key=lambda one: -len(meanings[one]))
    # What most are told is not said again.
    said = [one.help.removeprefix(usual.help.rstrip(".")).lstrip(",; ") for one in others]
    more = (
        f" Of {', '.join(meanings[one])}: {text[0].lower()}{text[1:]}" for one, text in zip(others, said, strict=True)
    )
    examples = dict.fromkeys(one.example for one in (usual, *others))
    default, text = usual.default, usual.help
    if any(one.default != default for one in others):
        default, text = "", f"{text} Unless given: {default}."
    return replace(usual, example="|".join(examples), help="".join((text, *more)), default=default)


def list_of_variables(environments: Sequence[Environment]) -> list[str]:
    """Every make variable, with what it is for."""
    lines: list[str] = []
    for variable in every_variable():
        unless = f" Unless given: {variable.default}." if variable.default else ""
        about = textwrap.wrap(variable.help + unless, 82, break_on_hyphens=False)
        lines += [
            f"{variable.assignment([one.name for one in environments]):32}{about[0]}",
            *(f"{'':32}{line}" for line in about[1:]),
        ]
    return lines


def expansion(name: str, variable: Variable) -> str:
    """What a make variable becomes on the command line."""
    if name == "ENV":
        return "$(call quoted,$(ENVIRONMENT))"
    kind = "flag" if variable.is_flag else "each" if variable.is_list or not variable.option else "one"
    return f"$(call {kind},{variable.option},{name})"


def rules_of(
    command: Command, variables: Sequence[Variable], environments: Sequence[Environment]
) -> list[tuple[str, str, list[str]]]:
    """The rules of a command: each target with its text and the make variables that it takes."""
    found: list[tuple[str, str, list[str]]] = []
    names = [name for variable in variables for name in variable.names]
    text = (command.function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    about = f"{text[0].lower()}{text[1:]}"
    for target in command.targets:
        if target.endswith("-ENV"):
            for one in environments:
                consent = f"; wants CONFIRM={one.name}" if isinstance(one.cluster, SharedCluster) else ""
                found.append(
                    rule(
                        target.removesuffix("ENV") + one.name,
                        f"{command.name} '{one.name}'",
                        rendered(one) if command.rendered else "$(VENV)",
                        [name for name in names if name != "ENV"],
                        about + consent,
                    )
                )
        elif target.endswith("-TARGET"):
            kept = [name for name in names if name not in ("ENV", "TARGET")]
            pattern = target.removesuffix("TARGET") + "%"
            call = f"{command.name} $(with-ENV) '$*'"
            found.append(rule(pattern, call, "$(VENV)", kept, "the same for one workload", ["ENV"]))
        else:
            before = "$(rendered-$(ENVIRONMENT))" if command.rendered else "$(VENV)"
            found.append(rule(target, command.name, before, names, about))
    return found


def rule(
    target: str, call: str, before: str, names: Sequence[str], about: str, more: Sequence[str] = ()
) -> tuple[str, str, list[str]]:
    """A target, its rule, and the make variables that it takes."""
    phony = "" if "%" in target else f".PHONY: {target}\n"
    note = f" ## {about}" if about else ""
    given = f" $(call with,{target})" if not more else "".join(f" $(with-{name})" for name in names)
    return target, f"{phony}{target}: {before}{note}\n\t@$(OPERATE) {call}{given}\n", [*more, *names]
