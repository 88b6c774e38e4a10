"""Why a plan wins, or why no split helps, in words."""

from __future__ import annotations

from decc_core.formats import RAW
from decc_core.network.work import Resource
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance, Cut, Objective, crossing_tensors
from decc_core.study.compare import Comparison, Outcome, ratio
from decc_core.study.verdict import verdict
from decc_core.text import bytes_text, counted, duration, first_line, gap_text, three_digits

NAMED = 3
"""So many coded tensors are named; of more, the others are counted."""
NOTICEABLE = 1.005
"""Gains below this are not worth a claim."""
LEAST_SHOWN = 1e-4
"""A smaller share has no digit in per cent."""
FAR = 0.5
"""A bound that is further away says hardly anything of the plan."""


def explain(comparison: Comparison) -> str:
    """Two or three sentences on the recommended plan; needs the outcomes of decc and of all baselines.

    Where no words are found, a note says so: they never cost the comparison.
    """
    try:
        return _explained(comparison)
    except Exception as error:
        return f"The reason is left out, because no words were found for it: {first_line(error)}."


def _explained(comparison: Comparison) -> str:
    instance, decc, taken = comparison.instance, comparison.of("decc"), verdict(comparison).recommended
    if set(decc.plan.cuts) == {instance.all_edge}:
        reason = _all_edge(comparison)
    elif set(decc.plan.cuts) == {instance.all_cloud} and decc.objective_ns == comparison.best_baseline.objective_ns:
        reason = _all_cloud(comparison)
    elif taken.objective_ns == decc.objective_ns:
        reason = _split(comparison, taken)
    else:
        reason = f"{_mix_in_words(instance, taken.plan)} {_simpler(taken, decc)}"
    return " ".join(filter(None, (reason, wire_in_words(instance, taken.plan), _certainty(taken))))


def wire_in_words(instance: CostInstance, plan: Plan) -> str:
    """How what crosses travels, where it is coded: format, bytes, and what coding takes."""
    graph = instance.graph
    crossing = dict.fromkeys(i for cut in plan.groups() for i in crossing_tensors(graph, cut))
    coded = [i for i in crossing if instance.format_of(i) != RAW]
    parts = [
        f"'{graph.tensor_title(i)}' travels as {instance.format_of(i)}, in {bytes_text(instance.wire_bytes[i])} "
        f"instead of {bytes_text(graph.tensors[i].spec.size_bytes)}{_coding(instance, i)}"
        for i in coded[:NAMED]
    ]
    if not parts:
        return ""
    more = len(coded) - len(parts)
    return "; ".join(parts) + (f"; and {counted(more, 'other tensor')} coded, too." if more else ".")


def _coding(instance: CostInstance, tensor: int) -> str:
    encode, decode = instance.encode_ns[tensor], instance.decode_ns[tensor]
    return f" ({duration(encode)} to encode, {duration(decode)} to decode)" if encode or decode else ""


def _nothing_helps(comparison: Comparison) -> str:
    """Only a proof allows the stronger words."""
    return "No split helps" if comparison.of("decc").gap == 0 else "No split was found that helps"


def _all_edge(comparison: Comparison) -> str:
    instance = comparison.instance
    edge = sum(instance.edge_ns)
    send = min(
        (time for time, tensor in zip(instance.uplink_ns, instance.graph.tensors, strict=True) if tensor.consumers),
        default=0,
    )
    if send + instance.rtt_ns >= edge:
        return (
            f"{_nothing_helps(comparison)}: the whole network takes {duration(edge)} on the edge, and sending even its "
            f"smallest tensor and waiting for the reply takes {duration(send + instance.rtt_ns)}."
        )
    return (
        f"{_nothing_helps(comparison)}: the edge needs {duration(edge)} a request, and every point at which little has "
        "to be sent comes after most of the work is done."
    )


def _all_cloud(comparison: Comparison) -> str:
    instance = comparison.instance
    crossing = crossing_tensors(instance.graph, instance.all_cloud)
    send = sum(instance.uplink_ns[i] for i in crossing)
    as_it_is = "" if any(instance.format_of(i) != RAW for i in crossing) else " as it is"
    edge, cloud = sum(instance.edge_ns), sum(instance.cloud_ns)
    return (
        f"{_nothing_helps(comparison)}: a request takes {duration(send)} to send{as_it_is} and "
        f"{duration(cloud)} in the cloud; work done on the edge ({duration(edge)} in all) would cost more than it "
        "saves."
    )


def _split(comparison: Comparison, taken: Outcome) -> str:
    """Of a plan that is as good as decc's own."""
    instance, rival = comparison.instance, comparison.best_baseline
    what = _mix_in_words(instance, taken.plan)
    busiest = max(Resource, key=lambda resource: taken.busy_ns[list(Resource).index(resource)])
    share = max(taken.busy_ns) / max(1, taken.schedule.makespan_ns)
    gain = comparison.gain(rival.strategy)
    if gain < NOTICEABLE:
        # What is less than its smallest digit is said to be as much at most.
        how = "less than" if gain - 1 < LEAST_SHOWN else "only"
        slower = f"is {how} {gap_text(max(gain - 1, LEAST_SHOWN))} slower"
        equal = "is just as good" if taken.objective_ns == rival.objective_ns else slower
        return f"{what} The best baseline ({rival.strategy}) {equal}: overlapping branches adds next to nothing here."
    measure = "finishes" if instance.objective is Objective.MAKESPAN else "repeats"
    return (
        f"{what} The {busiest.value} is busy {100 * share:.0f} % of the time, and the plan {measure} "
        f"{three_digits(gain, ',')} times as fast as the best baseline ({rival.strategy})."
    )


def _simpler(taken: Outcome, decc: Outcome) -> str:
    """Why a plan is recommended that is not decc's own."""
    gain = ratio(taken.objective_ns, decc.objective_ns)
    if gain <= 1:
        how = "no better"
    else:
        # What is less than its smallest digit is said to be as much at most.
        how = f"{'less than' if gain - 1 < LEAST_SHOWN else 'only'} {gap_text(max(gain - 1, LEAST_SHOWN))} better"
    return f"This is the plan of {taken.strategy}, which is simpler: decc's own is {how}."


def _mix_in_words(instance: CostInstance, plan: Plan) -> str:
    many = len(plan.cuts)
    groups = {cut: len(requests) for cut, requests in plan.groups().items()}
    parts = []
    for cut, count in sorted(groups.items(), key=lambda item: (-item[1], len(item[0]))):
        who = "the request" if many == 1 else f"all {count} requests" if count == many else f"{count} requests"
        parts.append(f"{who if count > 1 or many == 1 else '1 request'} {_cut_in_words(instance, cut, count > 1)}")
    sentence = ", ".join(parts[:3]) + (f", and {_more(len(parts) - 3)}" if len(parts) > 3 else "")
    return sentence[0].upper() + sentence[1:] + "."


def _more(cuts: int) -> str:
    return "1 more kind of cut follows" if cuts == 1 else f"{cuts} more kinds of cut follow"


def _cut_in_words(instance: CostInstance, cut: Cut, plural: bool) -> str:
    if cut == instance.all_edge:
        return "stay on the edge" if plural else "stays on the edge"
    if cut == instance.all_cloud:
        return "go to the cloud as they are" if plural else "goes to the cloud as it is"
    graph = instance.graph
    done = sum(instance.edge_ns[layer] for layer in cut)
    crossing = crossing_tensors(graph, cut)
    where = f"after '{graph.tensor_title(crossing[0])}'" if len(crossing) == 1 else f"at {len(crossing)} points"
    return f"{'are' if plural else 'is'} cut {where} ({duration(done)} on the edge{' each' if plural else ''})"


def _certainty(outcome: Outcome) -> str:
    if outcome.gap == 0:
        return "It is proven optimal."
    bound = duration(outcome.lower_bound_ns)
    if outcome.gap > FAR:
        return f"Whether there is a much better plan is not known: the proven bound, {bound}, is far below it."
    return f"It is within {gap_text(max(outcome.gap, LEAST_SHOWN))} of the best possible: the proven bound is {bound}."
