"""The reliability curve as an SVG, whose colours are the page's."""

from __future__ import annotations

import html

from inception_slim.evaluation.classification_metrics import Reliability, wilson_interval

_LEFT, _TOP, _SIDE = 54, 12, 300  # the square of the curve, in units of the drawing
_GAP, _HEIGHT = 26, 64  # to the histogram, and its own height
_TICKS = (0, 0.25, 0.5, 0.75, 1)


def reliability_chart(found: Reliability) -> str:
    """How often answers are right, by how sure they are; below it, how many there are.

    A point for each bin with answers, with its 95 % confidence interval.
    """
    bottom = _TOP + _SIDE
    base = bottom + _GAP + _HEIGHT
    most = max(1, *(each.count for each in found.bins))
    parts = []

    def x(value: float) -> float:
        return _LEFT + _SIDE * value

    def y(value: float) -> float:
        return bottom - _SIDE * value

    def line(kind: str, x_1: float, y_1: float, x_2: float, y_2: float) -> str:
        return (f'<line class="{kind}" x1="{x_1:.1f}" y1="{y_1:.1f}" x2="{x_2:.1f}" '
                f'y2="{y_2:.1f}"/>')

    def text(words: str, at_x: float, at_y: float, anchor: str, more: str = '') -> str:
        return (f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}"{more}>'
                f'{html.escape(words)}</text>')

    for tick in _TICKS:
        parts += [line('grid', x(tick), _TOP, x(tick), bottom),
                  line('grid', _LEFT, y(tick), x(1), y(tick)),
                  text(f'{tick:.0%}', _LEFT - 6, y(tick) + 4, 'end'),
                  text(f'{tick:.0%}', x(tick), base + 16, 'middle')]
    parts += [line('ideal', x(0), y(0), x(1), y(1)),
              line('axis', _LEFT, base, x(1), base),
              text('right', 11, y(0.5), 'middle', f' transform="rotate(-90 11 {y(0.5):.1f})"'),
              text('how sure the answer was', x(0.5), base + 34, 'middle'),
              text(f'{most:,}', _LEFT - 6, base - _HEIGHT + 8, 'end'),
              text('images', 11, base - _HEIGHT / 2, 'middle',
                   f' transform="rotate(-90 11 {base - _HEIGHT / 2:.1f})"')]
    points = []
    for each in found.bins:
        if each.confidence is None:
            continue
        accuracy = each.right / each.count
        low, high = wilson_interval(each.right, each.count)
        width, height = _SIDE * (each.high - each.low), _HEIGHT * each.count / most
        what = (f'{each.count:,} answers from {each.low:.1%} to {each.high:.1%}: on average '
                f'{each.confidence:.1%} sure, {accuracy:.1%} right '
                f'({low:.1%} to {high:.1%})')
        points.append((x(each.confidence), y(accuracy)))
        parts += [
            f'<g><title>{what}</title>'
            f'<rect class="count" x="{x(each.low) + 1:.1f}" y="{base - height:.1f}" '
            f'width="{width - 2:.1f}" height="{height:.1f}"/>',
            line('interval', x(each.confidence), y(low), x(each.confidence), y(high)),
            f'<circle class="point" cx="{x(each.confidence):.1f}" cy="{y(accuracy):.1f}" r="4"/>'
            '</g>']
    curve = ' '.join(f'{at_x:.1f},{at_y:.1f}' for at_x, at_y in points)
    parts.append(f'<polyline class="curve" points="{curve}"/>')
    return (f'<svg class="chart" viewBox="0 0 {_LEFT + _SIDE + 20} {base + 42}" role="img" '
            'aria-labelledby="reliability-title">'
            '<title id="reliability-title">Reliability: the share of right answers by their '
            f'probability; expected calibration error {found.error:.2%}</title>'
            f'{"".join(parts)}</svg>')
