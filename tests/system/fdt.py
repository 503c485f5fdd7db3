# SPDX-License-Identifier: BSD-2-Clause
"""A machine's FDT as QEMU dumps it, to be changed and given back (Devicetree Specification 0.4, chapter 5)."""
import struct

MAGIC, BEGIN, END, PROP, NOP, STOP = 0xd00dfeed, 1, 2, 3, 4, 9


class Node:
    def __init__(self, name=""):
        self.name, self.props, self.children = name, {}, []

    def __getitem__(self, path):
        """The node at a path below this one, e.g. "cpus/cpu@0"."""
        node = self
        for name in path.strip("/").split("/"):
            node = next(c for c in node.children if c.name == name)
        return node

    def walk(self):
        yield self
        for c in self.children:
            yield from c.walk()

    def string(self, name):
        return self.props[name].rstrip(b"\0").decode()

    def set_string(self, name, value):
        self.props[name] = value.encode() + b"\0"

    def cells(self, name):
        return list(struct.unpack(f">{len(self.props[name]) // 4}I", self.props[name]))

    def set_cells(self, name, values):
        self.props[name] = struct.pack(f">{len(values)}I", *values)


def pad(data):
    return data + bytes(-len(data) % 4)


def parse(blob):
    magic, _, structs, strings = struct.unpack_from(">4I", blob)
    assert magic == MAGIC
    pos, stack, root = structs, [], None
    while True:
        token, = struct.unpack_from(">I", blob, pos)
        pos += 4
        if token == BEGIN:
            end = blob.index(b"\0", pos)
            node = Node(blob[pos:end].decode())
            pos = end + 4 - (end - structs) % 4
            if stack:
                stack[-1].children.append(node)
            else:
                root = node
            stack.append(node)
        elif token == PROP:
            size, name = struct.unpack_from(">2I", blob, pos)
            name = blob[strings + name:blob.index(b"\0", strings + name)].decode()
            stack[-1].props[name] = blob[pos + 8:pos + 8 + size]
            pos += 8 + size + -size % 4
        elif token == END:
            stack.pop()
        elif token == STOP:
            return root


def pack(root):
    strings, offsets = bytearray(), {}

    def node(n):
        out = struct.pack(">I", BEGIN) + pad(n.name.encode() + b"\0")
        for name, value in n.props.items():
            if name not in offsets:
                offsets[name] = len(strings)
                strings.extend(name.encode() + b"\0")
            out += struct.pack(">3I", PROP, len(value), offsets[name]) + pad(value)
        return out + b"".join(map(node, n.children)) + struct.pack(">I", END)

    structs = node(root) + struct.pack(">I", STOP)
    # The header, and one empty memory reservation before the structure
    at = 40 + 16
    total = at + len(structs) + len(strings)
    return struct.pack(">10I", MAGIC, total, at, at + len(structs), 40, 17, 16, 0, len(strings), len(structs)) + \
        bytes(16) + structs + bytes(strings)
