"""`guess`: an answer that stays closed until the reader has typed a guess."""

from html import escape

# No script: the answer shows as soon as the field holds something, in the book from disk as well.
_HTML = """\
<div class="course-guess" style="border-left: 3px solid #0072B2; padding: 0.2em 0.9em">
<style>
.course-guess input:placeholder-shown ~ .course-answer {{ display: none }}
.course-guess input {{ font: inherit; width: 16em; max-width: 100%; padding: 0.2em 0.5em }}
@media print {{ .course-guess input {{ display: none }} }}
</style>
<p>{question}</p>
<input type="text" placeholder="type your guess" aria-label="Your guess" autocomplete="off">
<p class="course-answer" role="status">{answer}</p>
</div>"""


class Guess:
    """A question with its answer, shown by a notebook; see `guess`."""

    def __init__(self, question, answer):
        self.question, self.answer = question, answer

    def __repr__(self):
        return f"{self.question}\n{self.answer}"

    def _repr_html_(self):
        return _HTML.format(question=escape(self.question), answer=escape(self.answer))


def guess(question, answer):
    """Ask before the page tells: the last line of a cell that has just computed `answer`.

    question, answer: text. The answer is shown when something has been typed, whatever it is; in
    plain text, as a batch prints it, at once. Nothing waits for the reader.
    """
    return Guess(str(question), str(answer))
