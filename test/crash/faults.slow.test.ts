import { test } from 'node:test'
import { rehearse, type TroubleKind } from './rehearsal.js'
import { scenarios } from './scenarios.js'

const faults: readonly TroubleKind[] = [
  { kind: 'EIO', moment: 'before' },
  { kind: 'EIO', moment: 'after' },
  { kind: 'ENOSPC', moment: 'half' },
  { kind: 'EDQUOT', moment: 'before' },
  { kind: 'ESTALE', moment: 'before' },
  { kind: 'EACCES', moment: 'before' },
]

for (const scenario of scenarios) {
  test(`a fault at each call of ${scenario.name}`, async t => {
    t.diagnostic(`${await rehearse(scenario, faults, {})} faults`)
  })
}
