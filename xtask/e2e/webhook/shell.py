"""Uses the shell with the package `websockets`: input, window size, protocol errors, secret URL."""

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


async def run_command():
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


async def invalid_message_closes_the_connection():
    async with websockets.connect(URL) as client:
        await client.send(b"\x09")
        try:
            while True:
                await asyncio.wait_for(client.recv(), 20)
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1008, closed


async def wrong_secret_is_rejected():
    try:
        async with websockets.connect(URL + "x"):
            raise AssertionError("a wrong secret was accepted")
    except websockets.InvalidStatus as error:
        assert error.response.status_code == 404, error


async def main():
    await run_command()
    await invalid_message_closes_the_connection()
    await wrong_secret_is_rejected()
    print("websockets: input, window size, protocol error, secret URL: ok")


asyncio.run(main())
