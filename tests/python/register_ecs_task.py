"""Registers an ECS task definition with boto3 and moto, and prints the registered definition.

Usage: register_ecs_task.py FILE
"""

import json
import os
import sys

import boto3
from moto import mock_aws

# Do not use the configuration of this machine.
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_CONFIG_FILE": os.devnull}

with open(sys.argv[1]) as file:
    task = json.load(file)
with mock_aws():
    # botocore rejects parameters that are not in its API model.
    answer = boto3.client("ecs", region_name="eu-west-1").register_task_definition(**task)
json.dump(answer["taskDefinition"], sys.stdout)
