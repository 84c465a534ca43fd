"""JUnit XML: a test case for each row. A regression is a failure, a row that says nothing is skipped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import GateResult
from edgedeploy.core.results.report import Report

from .figures import figure_text, row_name, verdict_text

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report) -> str:
    """The report as JUnit XML, with a suite for each device."""
    root = ET.Element("testsuites", name="edgedeploy")
    suites: dict[str, list[Measurement]] = {}
    for row in report.rows:
        suites.setdefault(report.device_of(row) or row.device.display_name or row.device.name, []).append(row)
    for device, rows in suites.items():
        cases = [_case(report, row, device) for row in rows]
        suite = _suite(root, device, cases)
        suite.extend(cases)
    found = report.comparison
    if found and (found.budgets or found.idle_budgets):
        idle = [
            GateResult(budget.budget, True, f"unknown, {budget.reason}", judged=False) for budget in found.idle_budgets
        ]
        cases = [_budget(budget) for budget in (*found.budgets, *idle)]
        _suite(root, "budgets", cases).extend(cases)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ET.Element, name: str, cases: list[ET.Element]) -> ET.Element:
    failures, skipped = (sum(case.find(kind) is not None for case in cases) for kind in ("failure", "skipped"))
    counts = {"tests": str(len(cases)), "failures": str(failures), "skipped": str(skipped), "errors": "0"}
    return ET.SubElement(root, "testsuite", {"name": _clean(name), **counts})


def _case(report: Report, row: Measurement, device: str) -> ET.Element:
    seconds = sum(row.samples_ns) / 1e9
    case = ET.Element("testcase", classname=_clean(device), name=_clean(_name(report, row)), time=f"{seconds:.3f}")
    compared = report.compared(row)
    verdict, pair = verdict_text(report, row), report.pair_of(row)
    if pair is not None:
        kind = {"slower": "failure", "not trustworthy": "skipped"}.get(pair.verdict)
        if kind and report.side_of(row) == "head":
            ET.SubElement(case, kind, message=_clean(pair.text)).text = _clean("\n".join(pair.causes))
    elif compared is not None and compared.regressed:
        ET.SubElement(case, "failure", message=_clean(verdict)).text = _clean("\n".join(compared.causes))
    elif compared is not None and compared.verdict == "unknown":
        ET.SubElement(case, "skipped", message=_clean(compared.reason))
    elif compared is None and row.verdict and not row.verdict.trustworthy:
        ET.SubElement(case, "skipped", message=_clean(str(row.verdict)))
    remarks = compared.remarks() if compared is not None else ()
    ET.SubElement(case, "system-out").text = _clean("\n".join([f"{figure_text(row)}; {verdict}", *remarks]))
    return case


def _name(report: Report, row: Measurement) -> str:
    side = report.side_of(row)
    return f"{row_name(row)}{f' ({side})' if side else ''}"


def _budget(budget: GateResult) -> ET.Element:
    case = ET.Element("testcase", classname="budgets", name=_clean(budget.metric))
    if not budget.judged:
        ET.SubElement(case, "skipped", message=_clean(budget.text))
    elif not budget.passed:
        ET.SubElement(case, "failure", message=_clean(f"the budget is not kept: {budget.text}"))
    return case


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return NOT_XML.sub("\ufffd", text)
