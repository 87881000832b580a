"""The endpoints of the concurrent request guide that are measured, as the guide
has them: FastAPI, `async def`, a limit of requests a minute for each client.
Providers are read from the SQLite file of the credentialing server,
by the same query."""

import os
import sqlite3
import time
from collections import defaultdict, deque
from datetime import datetime, timezone

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

LIMIT = int(os.environ.get("RATE_LIMIT_REQUESTS_PER_MINUTE", "200"))
COLUMNS = "provider_id, npi, name, credential, specialty, state, status, credentialed_at"

app = FastAPI()
seen: dict[str, deque] = defaultdict(deque)
started = time.time()
database = sqlite3.connect(os.environ["DATABASE_PATH"], check_same_thread=False)
database.row_factory = sqlite3.Row


@app.middleware("http")
async def rate_limit(request: Request, call_next):
    requests = seen[request.client.host]
    now = time.time()
    while requests and requests[0] < now - 60:
        requests.popleft()
    if len(requests) >= LIMIT:
        return JSONResponse({"detail": "Too many requests. Please try again later."}, status_code=429)
    requests.append(now)
    return await call_next(request)


@app.get("/health")
async def health():
    return {
        "status": "healthy",
        "service": "credentialing-server",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "uptime_seconds": int(time.time() - started),
    }


@app.get("/providers")
async def providers(limit: int = 50, offset: int = 0):
    rows = database.execute(
        f"select {COLUMNS} from providers order by number limit ? offset ?", (limit, offset)
    ).fetchall()
    total = database.execute("select count(*) from providers").fetchone()[0]
    return {
        "providers": [dict(row) for row in rows],
        "total": total,
        "offset": offset,
        "limit": limit,
        "has_more": offset + len(rows) < total,
    }
