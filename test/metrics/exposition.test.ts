import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Metric, metricsText } from '#ptq/metrics/exposition.js'
import { assertMetrics, noPromtool } from './promtool.js'

const metrics: readonly Metric[] = [
  {
    name: 'ptq_things_total',
    help: 'Things with \\ and\nlines.',
    type: 'counter',
    samples: [
      { labels: { queue: 'fq:///a "b" \\ c\nd', state: 'é' }, value: 3 },
      { labels: { queue: 'unknown' }, value: Number.NaN },
    ],
  },
  { name: 'ptq_nothing', help: 'Has no sample.', type: 'gauge', samples: [] },
  {
    name: 'ptq_seconds',
    help: 'Durations.',
    type: 'histogram',
    samples: [
      { suffix: '_bucket', labels: { le: '0.1' }, value: 1 },
      { suffix: '_bucket', labels: { le: '+Inf' }, value: 2 },
      { suffix: '_sum', labels: {}, value: 1e21 },
      { suffix: '_count', labels: {}, value: 2 },
    ],
  },
]

describe("Prometheus' text format", () => {
  it('has names, help, types, escaped labels and numbers, and no unknown numbers', () => {
    assert.equal(
      metricsText(metrics),
      `# HELP ptq_things_total Things with \\\\ and\\nlines.
# TYPE ptq_things_total counter
ptq_things_total{queue="fq:///a \\"b\\" \\\\ c\\nd",state="é"} 3
# HELP ptq_seconds Durations.
# TYPE ptq_seconds histogram
ptq_seconds_bucket{le="0.1"} 1
ptq_seconds_bucket{le="+Inf"} 2
ptq_seconds_sum 1e+21
ptq_seconds_count 2
`,
    )
  })

  it('is accepted by Prometheus', { skip: noPromtool }, () => assertMetrics(metricsText(metrics)))
})
