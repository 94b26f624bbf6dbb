import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onStopSignals } from '#ptq/runtime/stop-signals.js'

test('a signal that npx passes on to the process a second time counts once', () => {
  const calls: string[] = []
  const { exitCode } = process
  const listening = onStopSignals({
    signals: ['SIGINT'],
    stop: signal => calls.push(`stop ${signal}`),
    leave: async () => {
      calls.push('leave')
    },
  })
  try {
    process.emit('SIGINT', 'SIGINT')
    process.emit('SIGINT', 'SIGINT')
    assert.deepEqual(calls, ['stop SIGINT'])
    assert.equal(process.exitCode, 130)
  } finally {
    process.exitCode = exitCode
    listening.dispose()
  }
})
