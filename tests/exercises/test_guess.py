"""An answer stays closed until something is typed; nobody waits for it."""

import pytest

from course_utils.exercises import guess


def test_a_batch_gets_question_and_answer_as_text():
    assert repr(guess("How many?", 61_706)) == "How many?\n61706"


def test_text_is_no_html():
    html = guess("<b>2 < 3?</b>", "a & b")._repr_html_()
    assert "&lt;b&gt;2 &lt; 3?" in html and "a &amp; b" in html


@pytest.mark.browser
def test_the_answer_shows_when_something_is_typed(browser):
    page = browser.new_page()
    page.set_content(guess("How many?", "sixteen")._repr_html_())
    answer = page.get_by_text("sixteen")
    assert not answer.is_visible()
    page.get_by_label("Your guess").fill("six")
    assert answer.is_visible()
    page.get_by_label("Your guess").fill("")
    assert not answer.is_visible()
    page.close()
