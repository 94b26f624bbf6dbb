import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ElapsedClock, ManualClock, systemClock } from '#ptq/time/clock.js'
import { sleep } from '#ptq/time/sleep.js'

/** A machine whose clocks a test moves. */
class Machine {
  monotonic = 5_000
  date = 1_700_000_000_000
  uptime = 900_000
  uptimeReadings = 0
  readonly clock = new ElapsedClock({
    monotonicMs: () => this.monotonic,
    dateMs: () => this.date,
    uptimeMs: () => {
      this.uptimeReadings++
      return this.uptime
    },
  })

  run(seconds: number): void {
    this.sleep(seconds)
    this.monotonic += seconds * 1000
  }

  sleep(seconds: number): void {
    this.date += seconds * 1000
    this.uptime += seconds * 1000
  }
}

/** Some timers, one after the other: what fires at once has fired then. */
async function someTimers(): Promise<void> {
  for (let timer = 0; timer < 5; timer++) await delay(2)
}

describe('the elapsed clock', () => {
  it('counts running time and sleep', () => {
    const machine = new Machine()
    const startMs = machine.clock.nowMs()
    machine.run(10)
    assert.equal(machine.clock.nowMs() - startMs, 10_000)
    machine.sleep(3600)
    assert.equal(machine.clock.nowMs() - startMs, 3_610_000)
    machine.run(1)
    machine.sleep(20)
    assert.equal(machine.clock.nowMs() - startMs, 3_631_000)
  })

  it('does not follow a wall clock that is set back or forward', () => {
    const machine = new Machine()
    const startMs = machine.clock.nowMs()
    for (const seconds of [-60, 86_400, -3600]) {
      machine.date += seconds * 1000
      assert.equal(machine.clock.nowMs() - startMs, 0)
    }
    machine.run(5)
    assert.equal(machine.clock.nowMs() - startMs, 5_000)
  })

  it('counts a sleep also if the wall clock is set at the wake-up', () => {
    const machine = new Machine()
    const startMs = machine.clock.nowMs()
    machine.sleep(100)
    machine.date -= 50_000
    assert.equal(machine.clock.nowMs() - startMs, 100_000)
  })

  it('does not take an uptime of whole seconds for a sleep', () => {
    const machine = new Machine()
    const startMs = machine.clock.nowMs()
    for (const seconds of [1, -1, 1]) {
      machine.uptime += seconds * 1000
      machine.date += 500
      assert.equal(machine.clock.nowMs() - startMs, 0)
    }
  })

  it('reads the uptime only if the wall clock has moved against the monotonic one', () => {
    const machine = new Machine()
    for (let turn = 0; turn < 1_000; turn++) {
      machine.run(1)
      machine.clock.nowMs()
    }
    assert.equal(machine.uptimeReadings, 1)
  })
})

describe('alarms and waits', () => {
  it('longer than 2^31 ms do not fire at once', async () => {
    const rung: string[] = []
    const abort = new AbortController()
    const cancel = systemClock.setAlarm(2 ** 31 + 1, () => rung.push('alarm'))
    const cancelNever = systemClock.setAlarm(Number.POSITIVE_INFINITY, () => rung.push('never'))
    const cancelDate = systemClock.setDateAlarm(Date.now() + 2 ** 33, () => rung.push('date'))
    const waiting = sleep(2 ** 40, abort.signal).then(() => rung.push('sleep'))
    await someTimers()
    assert.deepEqual(rung, [])
    for (const end of [cancel, cancelNever, cancelDate]) end()
    abort.abort()
    await waiting
    assert.deepEqual(rung, ['sleep'])
  })

  it('fire after their time, and never within the call that sets them', async () => {
    for (const ms of [0, -5, 20]) {
      const startMs = systemClock.nowMs()
      let isSet = false
      const atMs = await new Promise<number>(resolve => {
        systemClock.setAlarm(ms, () => resolve(isSet ? systemClock.nowMs() : Number.NaN))
        isSet = true
      })
      assert.ok(atMs - startMs >= ms)
    }
  })

  it('with an aborted signal end at once', async () => {
    await sleep(1_000_000, AbortSignal.abort())
    await sleep(1_000_000, undefined, AbortSignal.abort(), new AbortController().signal)
  })
})

describe('the manual clock', () => {
  it('fires alarms of dates when a date is set, and no others', () => {
    const clock = new ManualClock(1_000_000)
    const rung: string[] = []
    clock.setAlarm(5_000, () => rung.push('elapsed'))
    clock.setDateAlarm(1_010_000, () => rung.push('date'))
    clock.setDate(-60)
    clock.advance(4)
    assert.deepEqual([clock.nowMs(), clock.dateMs(), rung], [1_004_000, 944_000, []])
    clock.setDate(70)
    assert.deepEqual(rung, ['date'])
    clock.advance(1)
    assert.deepEqual(rung, ['date', 'elapsed'])
  })
})
