"""Two small overlay networks, one on Symbol and one on Sirius, as gateways tell of them.

The bodies have the shapes that gateways give: their sources say which, recorded answers
of SDKs show them. The values come from the keys below. To write ``answers/`` anew::

    python tests/unit/discovery/symbol/make_answers.py
"""

import json
from dataclasses import dataclass, field
from hashlib import sha3_256, sha256
from pathlib import Path

from discovery.symbol.config import (
    ELECTED_KEYS,
    NODE_KEY,
    TRUSTED_KEY,
    USER_KEY,
    SymbolConfig,
)
from discovery.symbol.metadata import (
    ElectedMetadata,
    NodeMetadata,
    RecordStatus,
    TrustedMetadata,
    UserMetadata,
)
from discovery.symbol.sirius_rest import SiriusRest
from discovery.symbol.symbol_rest import SymbolRest
from psp.crypto.keys import SigningKey
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord, node_signing_input
from psp.wire.endpoint import Endpoint

ANSWERS = Path(__file__).parent / "answers"
EPOCH, START, SEED_HEIGHT, FINAL, HEIGHT = 2, 1440, 1500, 1520, 1530
SERVED = 10
"""Entries that this gateway serves on a page, though asked for a hundred."""
ELECTED = ("anne", "bert")
"""Whom the draw of epoch 2 chooses on Symbol: found by running it once, then fixed."""


def derived(*names):
    return sha256("/".join(names).encode()).digest()


def upper(data):
    return data.hex().upper()


def key(name):
    return SigningKey.from_seed(derived("identity", name))


def account(name):
    return derived("account", name)[:20]


@dataclass
class Overlay:
    """One overlay network: who wrote what into whose metadata."""

    kind: str
    dialect: object
    importances: dict = field(default_factory=dict)
    entries: list = field(default_factory=list)

    @property
    def config(self):
        return SymbolConfig(
            self.dialect,
            derived(self.kind, "generation hash"),
            account("partners"),
            self.target("partners"),
            seats=2,
        )

    def target(self, name):
        is_symbol = self.kind == "symbol"
        return account(name) if is_symbol else derived("public key", name)

    def put(self, scoped_key, value, owner, target=None):
        self.entries.append((scoped_key, owner, target or owner, value))

    def node(self, name, owner=None, target=None, signed_by=None, **changes):
        owner = owner or name
        record = NodeRecord(
            NodeId(key(name).public),
            derived("onion", name),
            changes.get("endpoints", (Endpoint("192.0.2.1", 443),)),
            account(signed_by or owner),
        )
        text = node_signing_input(self.config.network, record)
        data = NodeMetadata(
            changes.get("status", RecordStatus.ACTIVE),
            changes.get("version", 1),
            record.node_id,
            record.onion_key,
            record.endpoints,
            key(name).sign(text),
        )
        self.put(NODE_KEY, data.encode(), owner, target)

    def user(self, name, owner=None, status=RecordStatus.ACTIVE):
        owner = owner or name
        public = key(name).public
        network = self.config.network
        text = b"psp-user-v1" + network.encode() + account(owner) + public
        data = UserMetadata(status, public, key(name).sign(text))
        self.put(USER_KEY, data.encode(), owner)

    def under(self, scoped_key):
        return [entry for entry in self.entries if entry[0] == scoped_key]


def populate(overlay):
    two = (Endpoint("2001:db8::1", 443), Endpoint("198.51.100.7", 8443))
    overlay.node("anne", version=7)
    overlay.node("bert", owner="company", target="bert")
    overlay.node("carl", owner="company", target="carl", endpoints=two)
    overlay.node("dora")
    overlay.node("ewan", status=RecordStatus.RETIRED)
    overlay.node("fred", status=RecordStatus.REVOKED)
    overlay.node("fred", owner="fred again")
    overlay.node("anne", owner="thief", signed_by="anne")
    overlay.node("anne", owner="zoe", target="anne's other account")
    overlay.node("gina", owner="zoe", target="anne")
    overlay.put(NODE_KEY, b"hello", "stranger")
    overlay.user("alice")
    overlay.user("bob", owner="bob's sponsor")
    overlay.user("mallory", status=RecordStatus.REVOKED)
    overlay.user("mallory", owner="mallory again")
    overlay.put(USER_KEY, b"", "stranger")
    nodes = {
        name: NodeId(key(name).public) for name in ("anne", "bert", "carl", "dora")
    }
    trusted = TrustedMetadata(tuple(sorted([nodes["anne"], nodes["dora"]])))
    overlay.put(TRUSTED_KEY, trusted.encode(), "partners")
    elected = ElectedMetadata(EPOCH, tuple(sorted(nodes[name] for name in ELECTED)))
    overlay.put(ELECTED_KEYS[EPOCH], elected.encode(), "partners")
    overlay.importances = {
        "anne": (4_321_000_000, START),
        "bert": (1_200_000_000, START),
        "carl": (980_000_000, START),
        "dora": (0, 0),
    }
    return overlay


def composite_hash(source, target, scoped_key):
    numbers = scoped_key.to_bytes(8, "little") + bytes(8) + bytes(1)
    return upper(sha3_256(source + target + numbers).digest())


def pair(number):
    return [number % 2**32, number >> 32]


class SymbolAnswers:
    """Bodies as catapult-rest 2.5 gives them."""

    def __init__(self, overlay):
        self.overlay = overlay
        self.addresses = overlay.dialect.addresses

    def all(self):
        yield "/node/info", {}, self.node_info()
        yield "/chain/info", {}, self.chain_info()
        yield f"/blocks/{FINAL}", {}, self.block(FINAL)
        yield f"/blocks/{SEED_HEIGHT}", {}, self.block(SEED_HEIGHT)
        yield from self.pages(NODE_KEY)
        yield from self.pages(USER_KEY)
        text = self.addresses.text(account("partners"))
        select = {"sourceAddress": text, "targetAddress": text}
        for scoped_key in (TRUSTED_KEY, *ELECTED_KEYS):
            yield from self.pages(scoped_key, select)
        yield f"/account/{text}/multisig", {}, self.multisig()
        for name in self.overlay.importances:
            path = f"/accounts/{self.addresses.text(account(name))}"
            yield path, {}, self.account(name)

    def pages(self, scoped_key, select=None):
        items = [self.item(*entry) for entry in self.overlay.under(scoped_key)]
        asked = {
            **(select or {}),
            "scopedMetadataKey": f"{scoped_key:016X}",
            "metadataType": "0",
            "pageSize": "100",
            "pageNumber": "1",
        }
        for start in range(0, len(items) + 1, SERVED):
            body = {
                "data": items[start : start + SERVED],
                "pagination": {"pageNumber": 1, "pageSize": SERVED},
            }
            offset = {"offset": items[start - 1]["id"]} if start else {}
            yield "/metadata", {**asked, **offset}, body

    def item(self, scoped_key, owner, target, value):
        source, aim = (self.addresses.encode(account(name)) for name in (owner, target))
        number = 1 + self.overlay.entries.index((scoped_key, owner, target, value))
        return {
            "metadataEntry": {
                "version": 1,
                "compositeHash": composite_hash(source, aim, scoped_key),
                "sourceAddress": upper(source),
                "targetAddress": upper(aim),
                "scopedMetadataKey": f"{scoped_key:016X}",
                "targetId": "0000000000000000",
                "metadataType": 0,
                "valueSize": len(value),
                "value": upper(value),
            },
            "id": f"636CF1F45ED31320FD{number:06X}",
        }

    def node_info(self):
        return {
            "version": 16777990,
            "publicKey": upper(derived("gateway", "main")),
            "networkGenerationHashSeed": upper(self.overlay.config.generation_hash),
            "roles": 3,
            "port": 7900,
            "networkIdentifier": self.addresses.network,
            "host": "gateway.example.org",
            "friendlyName": "example",
            "nodePublicKey": upper(derived("gateway", "node")),
        }

    def chain_info(self):
        return {
            "scoreHigh": "0",
            "scoreLow": "11485261672816562840",
            "height": str(HEIGHT),
            "latestFinalizedBlock": {
                "finalizationEpoch": 3,
                "finalizationPoint": 44,
                "height": str(FINAL),
                "hash": upper(derived("block", str(FINAL))),
            },
        }

    def block(self, height):
        beneficiary = self.addresses.encode(account("harvester"))
        return {
            "meta": {
                "hash": upper(derived("block", str(height))),
                "generationHash": upper(derived("generation", str(height))),
                "totalFee": "0",
                "stateHashSubCacheMerkleRoots": [upper(derived("root", "0"))],
                "totalTransactionsCount": 0,
                "transactionsCount": 0,
                "statementsCount": 1,
            },
            "block": {
                "size": 372,
                "signature": upper(derived("signature") * 2),
                "signerPublicKey": upper(derived("public key", "harvester")),
                "version": 1,
                "network": self.addresses.network,
                "type": 33091,
                "height": str(height),
                "timestamp": str(30_000 * height),
                "difficulty": "10000000000000",
                "proofGamma": upper(derived("gamma")),
                "proofVerificationHash": upper(derived("verification")[:16]),
                "proofScalar": upper(derived("scalar")),
                "previousBlockHash": upper(derived("block", str(height - 1))),
                "transactionsHash": upper(bytes(32)),
                "receiptsHash": upper(derived("receipts")),
                "stateHash": upper(derived("state", str(height))),
                "beneficiaryAddress": upper(beneficiary),
                "feeMultiplier": 0,
            },
            "id": f"605B16AFF78BBA71D7{height:06X}",
        }

    def account(self, name):
        importance, height = self.overlay.importances[name]
        return {
            "account": {
                "version": 1,
                "address": upper(self.addresses.encode(account(name))),
                "addressHeight": "16",
                "publicKey": upper(derived("public key", name)),
                "publicKeyHeight": "17",
                "accountType": 0,
                "supplementalPublicKeys": {},
                "activityBuckets": [
                    {
                        "startHeight": str(height),
                        "totalFeesPaid": "0",
                        "beneficiaryCount": 0,
                        "rawScore": str(importance),
                    }
                ],
                "mosaics": [{"id": "6BED913FA20223F8", "amount": str(importance)}],
                "importance": str(importance),
                "importanceHeight": str(height),
            },
            "id": f"605B16AFF78BBA71D8{len(name):06X}",
        }

    def multisig(self):
        signers = [self.addresses.encode(account(f"partner {i}")) for i in range(4)]
        return {
            "multisig": {
                "version": 1,
                "accountAddress": upper(self.addresses.encode(account("partners"))),
                "minApproval": 3,
                "minRemoval": 3,
                "cosignatoryAddresses": [upper(signer) for signer in signers],
                "multisigAddresses": [],
            }
        }


class SiriusAnswers:
    """Bodies as js-xpx-chain-rest gives them."""

    def __init__(self, overlay):
        self.overlay = overlay
        self.addresses = overlay.dialect.addresses

    def all(self):
        yield "/block/1", {}, self.block(1)
        yield "/chain/height", {}, {"height": pair(FINAL + 360)}
        yield from self.pages(NODE_KEY)
        yield from self.pages(USER_KEY)
        text = self.addresses.text(account("partners"))
        target = upper(self.overlay.target("partners"))
        for scoped_key in (TRUSTED_KEY, *ELECTED_KEYS):
            select = {"sourceAddress": text, "targetKey": target}
            yield from self.pages(scoped_key, select)
        yield f"/account/{text}/multisig", {}, self.multisig()
        for name in self.overlay.importances:
            path = f"/account/{upper(self.overlay.target(name))}"
            yield path, {}, self.account(name)

    def pages(self, scoped_key, select=None):
        items = [self.item(*entry) for entry in self.overlay.under(scoped_key)]
        for start in range(0, max(len(items), 1), SERVED):
            asked = {
                **(select or {}),
                "scopedMetadataKey": f"{scoped_key:016X}",
                "metadataType": "0",
                "pageSize": "100",
                "pageNumber": str(start // SERVED + 1),
            }
            pagination = {
                "totalEntries": len(items),
                "pageNumber": start // SERVED + 1,
                "pageSize": SERVED,
                "totalPages": -(-len(items) // SERVED),
            }
            data = items[start : start + SERVED]
            yield "/metadata_v2", asked, {"data": data, "pagination": pagination}

    def item(self, scoped_key, owner, target, value):
        source = self.addresses.encode(account(owner))
        aim = self.overlay.target(target)
        return {
            "metadataEntry": {
                "version": 1,
                "compositeHash": composite_hash(source, aim, scoped_key),
                "sourceAddress": upper(source),
                "targetKey": upper(aim),
                "scopedMetadataKey": pair(scoped_key),
                "targetId": [0, 0],
                "metadataType": 0,
                "valueSize": len(value),
                "value": upper(value),
            }
        }

    def block(self, height):
        generation = self.overlay.config.generation_hash
        return {
            "meta": {
                "hash": upper(derived("block", str(height))),
                "generationHash": upper(generation),
                "totalFee": [0, 0],
                "subCacheMerkleRoots": [],
                "numTransactions": 25,
            },
            "block": {
                "signature": upper(derived("signature") * 2),
                "signer": upper(derived("public key", "harvester")),
                "version": -1207959549,
                "type": 32835,
                "height": pair(height),
                "timestamp": [0, 0],
                "difficulty": [276447232, 23283],
                "feeMultiplier": 0,
                "previousBlockHash": upper(bytes(32)),
                "blockTransactionsHash": upper(derived("transactions")),
                "blockReceiptsHash": upper(derived("receipts")),
                "stateHash": upper(derived("state", str(height))),
                "beneficiary": upper(bytes(32)),
                "feeInterest": 1,
                "feeInterestDenominator": 1,
            },
        }

    def account(self, name):
        amount, _ = self.overlay.importances[name]
        return {
            "meta": {},
            "account": {
                "address": upper(self.addresses.encode(account(name))),
                "addressHeight": pair(16),
                "publicKey": upper(derived("public key", name)),
                "publicKeyHeight": pair(17),
                "accountType": 0,
                "linkedAccountKey": upper(bytes(32)),
                "mosaics": [{"id": [298950589, 1817567325], "amount": pair(amount)}],
            },
        }

    def multisig(self):
        signers = [upper(derived("public key", f"partner {i}")) for i in range(3)]
        return {
            "multisig": {
                "account": upper(self.overlay.target("partners")),
                "accountAddress": upper(self.addresses.encode(account("partners"))),
                "minApproval": 2,
                "minRemoval": 2,
                "cosignatories": signers,
                "multisigAccounts": [],
            }
        }


def overlay_and_answers(kind):
    if kind == "symbol":
        overlay = populate(Overlay(kind, SymbolRest(0x98)))
        return overlay, SymbolAnswers(overlay)
    overlay = populate(Overlay(kind, SiriusRest(0xA8)))
    return overlay, SiriusAnswers(overlay)


def exchanges(kind):
    """Return every question with its answer."""
    _, answers = overlay_and_answers(kind)
    return [
        {"path": path, "params": params, "body": body}
        for path, params, body in answers.all()
    ]


if __name__ == "__main__":
    for kind in ("symbol", "sirius"):
        text = json.dumps(exchanges(kind), indent=1) + "\n"
        (ANSWERS / f"{kind}.json").write_text(text, "utf-8")
