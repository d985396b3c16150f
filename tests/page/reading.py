"""Everything that stands on the page, read as a person reads it: by part, row and line."""

from typing import Any

_READ = """() => {
  const lines = (node) => [...node.childNodes]
    .filter((child) => !(child.classList && child.classList.contains('label')))
    .map((child) => child.textContent.trim()).filter(Boolean);
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const cells = (row) => Object.fromEntries(
    [...row.querySelectorAll('.cell')].map((cell) => [cell.className.split(' ')[1], lines(cell)]));
  const times = (row) => [...row.querySelectorAll('time')].map((time) => time.dateTime);
  const pictures = (row) => [...row.querySelectorAll('svg')].map((one) => one.getAttribute('aria-label'));
  const rows = (selector) => all(selector, (row) => ({ ...cells(row), times: times(row), pictures: pictures(row) }));
  const table = (id) => all(`#${id} tbody tr`, (row) => ({ cells: [...row.children].map(lines), times: times(row) }));
  const texts = (selector) => all(selector, (one) => one.textContent);
  const card = (one) => [one.querySelector('h2').textContent, [...one.querySelectorAll('p')].map((p) => p.textContent)];
  return {
    answers: Object.fromEntries(all('.answer', card)), alerts: rows('#alerts .row'),
    limits: rows('#limits .body .row'), waiting: rows('#queue-rows .row'), running: rows('#running .row'),
    notes: Object.fromEntries(all('section .note', (note) => [note.closest('section').id, note.textContent])),
    efficiency: table('efficiency'), sources: table('sources'),
    costs: texts('#costs rect title'), banner: texts('#banner p'),
    loans: all('#loans li', lines), deeds: all('#deeds li', lines),
  };
}"""


def read(page: Any) -> dict[str, Any]:
    """What stands on the page now."""
    page.page.wait_for_selector("#efficiency tbody tr")
    return dict(page.page.evaluate(_READ))
