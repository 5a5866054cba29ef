"""What the contracts' one-word reasons mean, in sentences.

A contract pays for every byte of text, so it says one word; who reads it wants to know
what to do.
"""

REASONS = {
    "admin": "only the administrator may do this",
    "amount": "there is no such amount: more than zero and at most what was voted",
    "bound": "the book has a keeper already, or the keeper is no contract",
    "early": "the seed is asked for in the second half of an epoch",
    "empty": "keys and endpoints must not be empty",
    "full": "no numbers are left",
    "hold": "a name stays for a week after it was registered or renewed",
    "gap": "the endpoints have an empty word before a used one",
    "keeper": "only the registry writes the book",
    "large": "amounts must stay below 2**96 wei",
    "late": "the signed permission has run out",
    "malleable": "the signature is not in its one allowed form",
    "name": "a name has 3 to 31 characters of a-z, 0-9 and single hyphens inside",
    "one": "the user has a name already",
    "outbid": "others with better draws fill all seats",
    "owner": "the account does not own it",
    "page": "a page starts at 1 and has a limited length",
    "refused": "the node is not active, has too little weight, was nominated before, or "
    "the account is neither its owner nor its operator",
    "request": "nobody has asked for the seed of this election yet",
    "seed": "the seed's block is not past yet",
    "set": "the seed was asked for already",
    "signature": "the permission is not signed by the owner, or was used before",
    "stake": "an owner's stake in an active node has a minimum",
    "status": "there is no such number, or it was ended",
    "taken": "the name is somebody else's, or expired less than 30 days ago",
    "version": "it was changed too often to be changed again",
    "wait": "nothing is unbonding, or its time is not over",
}


def explain(reason: str) -> str:
    """Return a contract's reason with what it means, if it is one of ours."""
    meaning = REASONS.get(reason)
    return reason if meaning is None else f"{meaning} ({reason})"
