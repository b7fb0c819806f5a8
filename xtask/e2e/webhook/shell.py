"""Uses the shell with the package `websockets`: input, window size, protocol errors, secret URL."""

import asyncio
import os
import struct

import websockets

URL = os.environ["SHELL_URL"].replace("http", "ws", 1)


async def read_to_end(client):
    """Returns the output until the server closes the connection, and the close frame."""
    output = b""
    try:
        while True:
            output += await asyncio.wait_for(client.recv(), 20)
    except websockets.ConnectionClosed as closed:
        return output, closed.rcvd


async def run_command():
    async with websockets.connect(URL) as client:
        # Rows, then columns.
        await client.send(b"\x02" + struct.pack("<HH", 50, 132))
        await client.send(b"\x01stty size; echo sum-$((40 + 2)); exit 3\r")
        output, close = await read_to_end(client)
        assert b"50 132" in output and b"sum-42" in output, output
        assert (close.code, close.reason) == (1000, "exit status: 3"), close


async def invalid_message_closes_the_connection():
    async with websockets.connect(URL) as client:
        await client.send(b"\x09")
        _, close = await read_to_end(client)
        assert close.code == 1008, close


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
