"""Draft."""
from __future__ import annotations
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
import pytest
from conftest import requires
from failures.stack import Kubelet, Running
from mcpmesh_k8s import OpenIdConnect
from mesh_harness import eventually
from test_login_runtime import ISSUER, render

pytestmark = requires("nginx", "postgresql", "redis", "mesh", "oauth2_proxy", "mesh_registry")
PACE = 5.0

@pytest.fixture(scope="module")
def kubelet(needs_mesh: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kubelet, None, None]:
    rendered = render(tmp_path_factory.mktemp("prod"), OpenIdConnect(issuer=ISSUER))
    with ExitStack() as stack:
        yield Kubelet(stack, rendered, tmp_path_factory.mktemp("stack"), needs_mesh, PACE)

def test_try(kubelet: Kubelet) -> None:
    import os
    order = ["nginx-gateway","oauth2-proxy","backend","pdf-extractor","interview-agent","claude-llm-agent","openai-llm-agent","registry","redis","postgres"]
    t0=time.monotonic()
    for n in order:
        kubelet.containers[n].start()
        
    ok=eventually(lambda: all(c.began for c in kubelet.containers.values()) and len(kubelet.gateways)==1 and kubelet.containers["oauth2-proxy"]._pod is not None, 60)
    for n,c in kubelet.containers.items(): print(n, c.began and round(c.began-t0,1), c.trouble, c.waited)
    assert ok
    r=kubelet.running()
    ok=eventually(r.well, 60)
    print("well", ok, round(time.monotonic()-t0,1), r.works(), {n:c.ready for n,c in r.containers.items()})
    assert ok
    E=os.environ.get("TRY","")
    for f in E.split(","):
        if not f: continue
        for c in r.containers.values(): c.calm()
        t=time.monotonic()
        for one in f.split("+"):
            how,_,who=one.partition(":")
            getattr(r.containers[who], how)()
        away=set()
        targets=[one.partition(":")[2] for one in f.split("+")]
        end=t+float(os.environ.get("LIMIT","60"))
        while time.monotonic()<end:
            w=r.works(); away|={n for n,v in w.items() if not v}
            if all(w.values()) and all(c.ready for c in r.containers.values()) and all(r.containers[x].restarts for x in targets): break
            time.sleep(.1)
        print("=====",f, round(time.monotonic()-t,1), "away",sorted(away), {n:[(x.why,round(x.at-t,1)) for x in c.restarts] for n,c in r.containers.items() if c.restarts}, {n:c.trouble for n,c in r.containers.items() if c.trouble}, {n:v for n,v in r.works().items() if not v},{n:c.ready for n,c in r.containers.items() if not c.ready}, flush=True)
        if not r.well():
            for x in targets: 
                if not r.containers[x].restarts: r.containers[x].wake()
            print("woken", eventually(r.well,60), {n:[(x.why,round(x.at-t,1)) for x in c.restarts] for n,c in r.containers.items() if c.restarts})
