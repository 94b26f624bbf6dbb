import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onStopSignals, passOnSignal } from '#ptq/runtime/stop-signals.js'

/** Calls `send` while something listens for signals that end the process; returns what it was told. */
function callsOf(send: () => void): string[] {
  const calls: string[] = []
  const { exitCode } = process
  const listening = onStopSignals({
    signals: ['SIGINT', 'SIGTERM'],
    stop: signal => calls.push(`stop ${signal}`),
    leave: async () => {
      calls.push('leave')
    },
  })
  try {
    send()
    return calls
  } finally {
    process.exitCode = exitCode
    listening.dispose()
  }
}

test('a signal that npx passes on to the process a second time counts once', () => {
  const calls = callsOf(() => {
    process.emit('SIGINT', 'SIGINT')
    process.emit('SIGINT', 'SIGINT')
    assert.equal(process.exitCode, 130)
  })
  assert.deepEqual(calls, ['stop SIGINT'])
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} sent to a process and to its parent, which passes it on, counts once, in either order`, () => {
    const direct = () => process.emit(signal, signal)
    const byParent = () => passOnSignal(signal, { isSecond: false })
    for (const order of [
      [direct, byParent],
      [byParent, direct],
    ]) {
      assert.deepEqual(
        callsOf(() => {
          for (const send of order) send()
        }),
        [`stop ${signal}`],
      )
    }
  })
}
