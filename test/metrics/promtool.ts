/** Prometheus' own checker of its text format, where it is installed (Debian's package `prometheus`). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

/** Why the checker can't be used; `undefined` where it can. */
export const noPromtool =
  spawnSync('promtool', ['--version']).status === 0
    ? undefined
    : 'promtool is not installed (on Debian: apt-get install prometheus)'

/** Asserts that Prometheus reads a text and has nothing to say about it. */
export function assertMetrics(text: string): void {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
}
