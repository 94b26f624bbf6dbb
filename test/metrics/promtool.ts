/** Prometheus' own checker of its text format, if it is installed (Debian's package `prometheus`). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

/** The reason why the checker can't be used, or `undefined`. */
export const noPromtool =
  spawnSync('promtool', ['--version']).status === 0
    ? undefined
    : 'promtool is not installed (on Debian: apt-get install prometheus)'

/** Asserts that Prometheus accepts a text without a warning. */
export function assertMetrics(text: string): void {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
}
