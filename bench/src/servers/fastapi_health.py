# The same endpoint on FastAPI, as its tutorial writes it.
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
async def health():
    return {"status": "alive"}
