"""Serves moto with an organization, until its standard input is closed.

Usage: moto_organization.py [FAKE_AWS]

With the URL of a fake-aws, moto also serves the calls of SSM that the exporter makes, see moto_nodes.py.

The management account is moto's own, 123456789012. The organizational units and accounts are:

- `outer` with the account `application`
- `inner`, below `outer`, with the accounts `database` and `closed`, which is closed
- `beside` with the account `sandbox`
- the account `rooted` in the root

Prints one line of JSON: {"url": ..., "units": {name: id}, "accounts": {name: id}}.
"""

import json
import logging
import sys

import boto3
from moto.server import ThreadedMotoServer

if sys.argv[1:]:
    # Importing moto's EC2 takes seconds.
    import moto_nodes

    moto_nodes.serve(sys.argv[1])

logging.getLogger("werkzeug").setLevel(logging.WARNING)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())

organizations = boto3.client(
    "organizations",
    region_name="us-east-1",
    endpoint_url=url,
    aws_access_key_id="any",
    aws_secret_access_key="any",
)
organizations.create_organization(FeatureSet="ALL")
root = organizations.list_roots()["Roots"][0]["Id"]


def unit(name, parent):
    created = organizations.create_organizational_unit(ParentId=parent, Name=name)
    return created["OrganizationalUnit"]["Id"]


units = {"outer": unit("outer", root), "beside": unit("beside", root)}
units["inner"] = unit("inner", units["outer"])


def account(name, parent):
    email = f"{name}@example.com"
    created = organizations.create_account(AccountName=name, Email=email)["CreateAccountStatus"]["AccountId"]
    if parent:
        organizations.move_account(AccountId=created, SourceParentId=root, DestinationParentId=units[parent])
    return created


places = {"application": "outer", "database": "inner", "closed": "inner", "sandbox": "beside", "rooted": None}
accounts = {name: account(name, parent) for name, parent in places.items()}
organizations.close_account(AccountId=accounts["closed"])

print(json.dumps({"url": url, "units": units, "accounts": accounts}), flush=True)
sys.stdin.read()
server.stop()
