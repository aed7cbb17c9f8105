"""`flow` and `task`: Prefect's own decorators, with the function wrapped and two hooks added."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, cast, overload

import prefect
from prefect import Flow, Task

from clearml_utils import lifecycle
from clearml_utils.lifecycle import META, Meta
from clearml_utils.logs import quieten
from clearml_utils.record import Capture

F = TypeVar("F", bound=Callable[..., Any])
quieten()


def clearml_utils_hook(task: Any, task_run: Any, state: Any) -> None:
    """Task hook; its name is what the log filter knows."""
    lifecycle.task_hook(task, task_run, state)


def clearml_utils_hook_flow(flow: Any, flow_run: Any, state: Any) -> None:
    """Flow hook of synchronous flows."""
    lifecycle.flow_hook(flow, flow_run, state)


async def clearml_utils_hook_flow_async(flow: Any, flow_run: Any, state: Any) -> None:
    """Flow hook of asynchronous flows: the delivery at the end does not hold up the event loop."""
    await asyncio.to_thread(lifecycle.flow_hook, flow, flow_run, state)


@overload
def task(function: F, /) -> Task[Any, Any]: ...


@overload
def task(
    *,
    name: str | None = None,
    project: str | None = None,
    capture: Capture | None = None,
    strict: bool = False,
    task_type: str = "data_processing",
    **prefect_options: Any,
) -> Callable[[F], Task[Any, Any]]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    project: str | None = None,
    capture: Capture | None = None,
    strict: bool = False,
    task_type: str = "data_processing",
    **prefect_options: Any,
) -> Any:
    """Make a Prefect task whose runs are ClearML tasks.

    Parameters
    ----------
    name
        As Prefect's.
    project
        ClearML project; default: the flow's.
    capture
        `full`: parameters, results, logs and exceptions. `summary`: shapes, types, counts and hashes of results, and
        numbers; no content of tables, texts and exceptions. `none`: that it ran, and how it ended. Default: the
        flow's.
    strict
        Let the task fail where it cannot be recorded.
    task_type
        ClearML's task type: `training`, `testing`, `inference`, `data_processing`, `monitor`, ...
    prefect_options
        Everything `prefect.task` takes.

    Returns
    -------
    prefect.Task
        An ordinary one.
    """

    def decorate(fn: Callable[..., Any]) -> Task[Any, Any]:
        inner = fn.__func__ if isinstance(fn, (classmethod, staticmethod)) else fn
        meta = Meta(
            "task", _name(inner), project, _policy(capture), strict, task_type, lifecycle.secret_parameters(inner)
        )
        options = dict(prefect_options)
        for hooks in ("on_completion", "on_failure"):
            options[hooks] = [*(options.get(hooks) or []), clearml_utils_hook]
        wrapped: Any = _wrap(inner, meta)
        if isinstance(fn, (classmethod, staticmethod)):
            wrapped = type(fn)(wrapped)
        return prefect.task(name=name, **options)(wrapped)

    return decorate if function is None else decorate(function)


@overload
def flow(function: F, /) -> Flow[Any, Any]: ...


@overload
def flow(
    *,
    name: str | None = None,
    project: str | None = None,
    capture: Capture = "full",
    strict: bool = False,
    **prefect_options: Any,
) -> Callable[[F], Flow[Any, Any]]: ...


def flow(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    project: str | None = None,
    capture: Capture = "full",
    strict: bool = False,
    **prefect_options: Any,
) -> Any:
    """Make a Prefect flow whose runs are ClearML pipelines.

    Parameters
    ----------
    name
        As Prefect's.
    project
        ClearML project; default `Prefect`. The run is a controller task in `<project>/.pipelines/<flow>`, its task
        runs
        are tasks in `<project>/<flow>`.
    capture
        What is recorded without asking, here and in tasks that do not say otherwise; see `task`.
    strict
        Let the flow fail at its start where ClearML refuses the credentials, and where something cannot be recorded.
    prefect_options
        Everything `prefect.flow` takes.

    Returns
    -------
    prefect.Flow
        An ordinary one.
    """

    def decorate(fn: Callable[..., Any]) -> Flow[Any, Any]:
        inner = fn.__func__ if isinstance(fn, (classmethod, staticmethod)) else fn
        meta = Meta(
            "flow", _name(inner), project, _policy(capture), strict, "controller", lifecycle.secret_parameters(inner)
        )
        is_async = inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)
        hook = clearml_utils_hook_flow_async if is_async else clearml_utils_hook_flow
        options = dict(prefect_options)
        for hooks in ("on_completion", "on_failure", "on_cancellation", "on_crashed"):
            options[hooks] = [*(options.get(hooks) or []), hook]
        wrapped: Any = _wrap(inner, meta)
        if isinstance(fn, (classmethod, staticmethod)):
            wrapped = type(fn)(wrapped)
        made: Flow[Any, Any] = prefect.flow(name=name, **options)(wrapped)
        return made

    return decorate if function is None else decorate(function)


def _policy(capture: Capture | None) -> Capture | None:
    if capture not in {None, "full", "summary", "none"}:
        raise ValueError(f"capture is 'full', 'summary' or 'none', not {capture!r}")
    return capture


def _name(fn: Callable[..., Any]) -> str:
    return f"{getattr(fn, '__module__', '')}:{getattr(fn, '__qualname__', type(fn).__name__)}"


def _wrap(fn: Callable[..., Any], meta: Meta) -> Callable[..., Any]:
    """A thin function around `fn`: it travels by value to other processes, so what it does is elsewhere."""
    call: Any
    wrapper: Any
    if inspect.isasyncgenfunction(fn):
        call = call_async_generator

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            async for item in call(meta, fn, args, kwargs):
                yield item

    elif inspect.isgeneratorfunction(fn):
        call = call_generator

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return (yield from call(meta, fn, args, kwargs))

    elif inspect.iscoroutinefunction(fn):
        call = call_async

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await call(meta, fn, args, kwargs)

    else:
        call = call_sync

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return call(meta, fn, args, kwargs)

    named: Any = functools.wraps(fn)(_at_home(wrapper, fn))
    setattr(named, META, meta)
    return cast("Callable[..., Any]", named)


def _at_home(wrapper: Any, fn: Callable[..., Any]) -> Any:
    """`wrapper` as if it were written where `fn` is.

    Its globals are those of `fn`, for annotations written as text are looked up there; and its code has a constant made
    from `fn`, for Prefect's task keys are hashes of code objects.
    """
    inner = getattr(fn, "__code__", None)
    seed = repr((inner.co_code, inner.co_consts, inner.co_names)) if inner else type(fn).__qualname__
    code = wrapper.__code__
    code = code.replace(co_consts=(*code.co_consts, hashlib.sha256(seed.encode()).hexdigest()))
    home = getattr(fn, "__globals__", wrapper.__globals__)
    return types.FunctionType(code, home, wrapper.__name__, wrapper.__defaults__, wrapper.__closure__)


def _begin(
    meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> lifecycle.Attempt | None:
    begin = lifecycle.begin_task if meta.what == "task" else lifecycle.begin_flow
    return begin(meta, fn, args, kwargs)


def call_sync(meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call `fn` as an attempt of the current run."""
    attempt = _begin(meta, fn, args, kwargs)
    if attempt is None:
        return fn(*args, **kwargs)
    try:
        result = fn(*args, **kwargs)
        attempt.returned(result)
    except BaseException as error:
        attempt.leave(error)
        raise
    attempt.leave(None)
    return result


async def call_async(meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Await `fn` as an attempt of the current run."""
    attempt = _begin(meta, fn, args, kwargs)
    if attempt is None:
        return await fn(*args, **kwargs)
    try:
        result = await fn(*args, **kwargs)
        attempt.returned(result)
    except BaseException as error:
        attempt.leave(error)
        raise
    attempt.leave(None)
    return result


def call_generator(
    meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[Any, Any, Any]:
    """Run a generator as an attempt of the current run; its items are counted, not kept."""
    attempt = _begin(meta, fn, args, kwargs)
    if attempt is None:
        return (yield from fn(*args, **kwargs))
    try:
        result = yield from fn(*args, **kwargs)
        attempt.returned(result)
    except BaseException as error:
        attempt.leave(error)
        raise
    attempt.leave(None)
    return result


async def call_async_generator(
    meta: Meta, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncGenerator[Any, None]:
    """Run an asynchronous generator as an attempt of the current run."""
    attempt = _begin(meta, fn, args, kwargs)
    if attempt is None:
        async for item in fn(*args, **kwargs):
            yield item
        return
    try:
        async for item in fn(*args, **kwargs):
            yield item
    except BaseException as error:
        attempt.leave(error)
        raise
    attempt.leave(None)
