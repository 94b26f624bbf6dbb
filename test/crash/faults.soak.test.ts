import { test } from 'node:test'
import { type FaultKind, injectFaults } from './inject.js'
import { scenarios } from './scenarios.js'

const faults: readonly FaultKind[] = [
  { kind: 'EIO', moment: 'before' },
  { kind: 'EIO', moment: 'after' },
  { kind: 'ENOSPC', moment: 'half' },
  { kind: 'EDQUOT', moment: 'before' },
  { kind: 'ESTALE', moment: 'before' },
  { kind: 'EACCES', moment: 'before' },
]

for (const scenario of scenarios) {
  test(`a fault at any call of ${scenario.name} loses no task`, async t => {
    t.diagnostic(`${await injectFaults(scenario, faults, {})} faults`)
  })
}
