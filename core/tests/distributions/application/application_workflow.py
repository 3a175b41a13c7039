"""A workflow of an application, by which those outside its sandbox see what that lets through."""

import textwrap

import application_types
import tidy_converter
from temporalio import workflow
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError


@workflow.defn
class Looking:
    @workflow.run
    async def run(self):
        # What is put into a module is found outside the sandbox only where the module is passed through.
        application_types.visited = tidy_converter.visited = True
        try:
            textwrap.dedent("")
        except RestrictedWorkflowAccessError:
            return "restricted"
        return "free"
