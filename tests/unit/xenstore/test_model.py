# SPDX-License-Identifier: BSD-2-Clause
"""Random operations of many clients, with transactions, against a simple model. SEED=n repeats a run."""
import random

from xswire import *

PATHS = [b"/m/" + b"/".join(p) for p in
         [(a,) for a in (b"a", b"b")] + [(a, b) for a in (b"a", b"b") for b in (b"x", b"y", b"z")] +
         [(a, b, c) for a in (b"a", b"b") for b in (b"x", b"y") for c in (b"1", b"2")]]
STEPS = 50000


def parents(path):
    while path.rfind(b"/") > 0:
        path = path[:path.rfind(b"/")]
        yield path


def apply(state, op):
    """A request on a dict path -> (value, perms): the expected reply (None: ENOENT), state changed."""
    kind, path, value = op
    if kind == READ:
        return state[path][0] if path in state else None
    if kind == GET_PERMS:
        return state[path][1] if path in state else None
    if kind == DIRECTORY:
        if path not in state:
            return None
        n = len(path) + 1
        return sorted(p[n:] for p in state if p.startswith(path + b"/") and b"/" not in p[n:])
    if kind == RM:
        if path not in state:
            return b"OK\0" if path[:path.rfind(b"/")] in state else None
        for p in [p for p in state if p == path or p.startswith(path + b"/")]:
            del state[p]
        return b"OK\0"
    if kind == SET_PERMS:
        if path not in state:
            return None
        state[path] = (state[path][0], value)
        return b"OK\0"
    # WRITE, MKDIR
    if path in state:
        if kind == WRITE:
            state[path] = (value, state[path][1])
        return b"OK\0"
    above = next(p for p in parents(path) if p in state)
    for p in [path, *parents(path)]:
        if p == above:
            break
        state[p] = (value if p == path and kind == WRITE else b"", state[above][1])
    return b"OK\0"


class Model:
    def __init__(self):
        self.state = {b"/m": (b"", (b"n0",))}
        self.commits = []  # per commit: its writing operations


class Tx:
    def __init__(self, tid, model):
        self.id, self.state, self.ops, self.begin = tid, dict(model.state), [], len(model.commits)
        self.base = dict(model.state)
        self.wrote = False  # asked for is not enough: a MKDIR of what is there changes nothing


def request(client, op, tx=0):
    kind, path, value = op
    try:
        if kind == WRITE:
            return client.ask(WRITE, path, tx=tx, tail=value)
        if kind == SET_PERMS:
            return client.ask(SET_PERMS, path, *value, tx=tx)
        body = client.ask(kind, path, tx=tx)
    except Error as e:
        assert e.args[0] == "ENOENT", (e, op)
        return None
    if kind == DIRECTORY:
        return body.split(b"\0")[:-1]
    if kind == GET_PERMS:
        return tuple(body.split(b"\0")[:-1])
    return body


def random_op(rng):
    kind = rng.choice([READ, READ, WRITE, WRITE, WRITE, MKDIR, RM, DIRECTORY, GET_PERMS, SET_PERMS])
    value = b"%d" % rng.randrange(1 << 40)
    if kind == SET_PERMS:
        value = (b"n%d" % rng.randrange(9), b"r%d" % rng.randrange(1, 9))
    return kind, rng.choice(PATHS), value


WRITES = (WRITE, MKDIR, RM, SET_PERMS)


def overlap(base, mine, theirs):
    """A generous notion of conflict: related paths, or a parent that both had to make. Else no EAGAIN is excused."""
    for _, a, _ in mine:
        made = {p for p in parents(a) if p not in base}
        for _, b, _ in theirs:
            if a == b or a.startswith(b + b"/") or b.startswith(a + b"/") or made & set(parents(b)):
                return True
    return False


def test_model(xs, seed):
    rng = random.Random(seed)
    model = Model()
    clients = [xs.client() for _ in range(8)]
    txs = [None] * len(clients)
    clients[0].ask(MKDIR, b"/m")
    commits = again = 0

    for _ in range(STEPS):
        i = rng.randrange(len(clients))
        c, tx = clients[i], txs[i]
        what = rng.random()
        if tx is None and what < 0.15:
            txs[i] = Tx(c.start(), model)
        elif tx is not None and what < 0.2:
            txs[i] = None
            if rng.random() < 0.2:
                c.end(tx.id, False)
                continue
            theirs = [op for ops in model.commits[tx.begin:] for op in ops]
            try:
                c.end(tx.id)
            except Error as e:
                assert e.args[0] == "EAGAIN"
                assert overlap(tx.base, [op for op, _ in tx.ops], theirs), ("nothing excuses EAGAIN", tx.ops, theirs)
                again += 1
                continue
            if not tx.wrote:
                continue  # all that it saw was true when it began
            # serializable: done now, every request would have had the same answer
            for op, reply in tx.ops:
                assert apply(model.state, op) == reply, (op, reply)
            model.commits.append([op for op, _ in tx.ops if op[0] in WRITES])
            commits += 1
        else:
            op = random_op(rng)
            reply = request(c, op, tx.id if tx else 0)
            before = dict(tx.state) if tx else None
            assert reply == apply(tx.state if tx else model.state, op), op
            if tx:
                tx.ops.append((op, reply))
                tx.wrote |= tx.state != before or (op[0] in (WRITE, SET_PERMS) and reply is not None)
            elif op[0] in WRITES:
                model.commits.append([op])

    for path in PATHS:
        assert request(clients[0], (READ, path, b"")) == apply(model.state, (READ, path, b""))
    assert clients[0].raw(CONTROL, b"check\0") == (CONTROL, b"OK\0")
    print("commits", commits, "EAGAIN", again)
    assert commits > 50
