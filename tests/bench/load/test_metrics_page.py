"""Reading a metrics page."""

from bench.load.metrics_page import samples

PAGE = """\
# HELP bellwire_commit_batch_size Operations in one transaction of the committer
# TYPE bellwire_commit_batch_size histogram
bellwire_commit_batch_size_bucket{le="1.0"} 3.0
bellwire_commit_batch_size_bucket{le="+Inf"} 5.0
bellwire_commit_batch_size_count 5.0
bellwire_commit_batch_size_sum 104.0
bellwire_commit_queue 0.0
"""


def test_a_sample_is_found_by_its_whole_name() -> None:
    assert samples(PAGE, "bellwire_commit_batch_size_sum") == {"": 104.0}
    assert samples(PAGE, "bellwire_commit") == {}


def test_samples_are_told_apart_by_their_labels() -> None:
    assert samples(PAGE, "bellwire_commit_batch_size_bucket") == {'le="1.0"': 3.0, 'le="+Inf"': 5.0}
