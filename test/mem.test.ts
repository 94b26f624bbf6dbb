import { ManualClock, testBackend } from 'ptq/testing'
import { opener } from '#ptq/backends/mem.js'

const clocks = new Map<string, ManualClock>()

testBackend({
  name: 'mem with a clock that tests set',
  open(queue) {
    const clock = clocks.get(queue) ?? new ManualClock(1_700_000_000_000)
    clocks.set(queue, clock)
    return opener.open({ protocol: 'mem', path: queue }, { clock })
  },
  advance: (queue, seconds) => clocks.get(queue)?.advance(seconds),
})

testBackend({
  name: 'mem with the clock of the machine',
  open: queue => opener.open({ protocol: 'mem', path: queue }, {}),
})
