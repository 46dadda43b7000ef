"""FastAPI + PyTorch: a websocket's endpoint keeps the state and calls the module for every message."""

from __future__ import annotations

import torch
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from torch import Tensor, nn

from benchmarks.serving import NET, OUTPUT_SIZE, make_net


class Net(nn.Module):
    """One frame of the LSTM and its head; a cell is several times faster than `nn.LSTM` of one step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell0 = nn.LSTMCell(NET.input_size, NET.hidden_size)
        self.fc = nn.Linear(NET.hidden_size, OUTPUT_SIZE)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y (n, 16) and the new states (n, 128) after frames x (n, 64)."""
        h, c = self.cell0(x, (h, c))
        return self.fc(h), h, c


def load() -> Net:
    """The module with the weights of `benchmarks.serving.make_net`, on one thread."""
    torch.set_num_threads(1)
    net = Net().eval()
    net.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in make_net().tensors.items()})
    return net


net = load()
app = FastAPI()


@app.websocket("/")
async def step_each(socket: WebSocket) -> None:
    """Answer each frame of 64 floats with an output of 16; a step is too short to hand to a thread."""
    await socket.accept()
    h, c = torch.zeros(2, 1, NET.hidden_size)
    try:
        while True:
            x = torch.frombuffer(bytearray(await socket.receive_bytes()), dtype=torch.float32)[None]
            with torch.inference_mode():
                y, h, c = net(x, h, c)
            await socket.send_bytes(y.numpy().tobytes())
    except WebSocketDisconnect:
        pass
