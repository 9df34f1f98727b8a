"""Registers an ECS task definition, as AWS's own client and moto understand it.

Usage: register_ecs_task.py FILE. Prints what has been registered.
"""

import json
import os
import sys

import boto3
from moto import mock_aws

# Nothing of this machine's.
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_CONFIG_FILE": os.devnull}

with open(sys.argv[1]) as file:
    task = json.load(file)
with mock_aws():
    # botocore refuses what its model of the API does not know.
    answer = boto3.client("ecs", region_name="eu-west-1").register_task_definition(**task)
json.dump(answer["taskDefinition"], sys.stdout)
