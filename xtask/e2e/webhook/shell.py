"""The package `websockets` against the shell: what is typed runs, sizes arrive, mistakes are told."""

import asyncio
import os
import struct

import websockets

URL = os.environ["SHELL_URL"].replace("http", "ws", 1)


async def read_until(client, text):
    seen = b""
    while text not in seen:
        seen += await asyncio.wait_for(client.recv(), 20)
    return seen


async def types():
    async with websockets.connect(URL) as client:
        await client.send(b"\x02" + struct.pack("<HH", 132, 50))
        await client.send(b"\x01stty size; echo sum-$((40 + 2)); exit 3\r")
        await read_until(client, b"50 132")
        await read_until(client, b"sum-42")
        try:
            while True:
                await asyncio.wait_for(client.recv(), 20)
        except websockets.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (1000, "exit status: 3"), closed


async def is_told():
    async with websockets.connect(URL) as client:
        await client.send(b"\x09")
        try:
            while True:
                await asyncio.wait_for(client.recv(), 20)
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1008, closed


async def is_refused():
    try:
        async with websockets.connect(URL + "x"):
            raise AssertionError("a wrong secret was accepted")
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 404, refused


async def main():
    await types()
    await is_told()
    await is_refused()
    print("websockets: types, resizes, is told what is wrong, needs the secret: ok")


asyncio.run(main())
