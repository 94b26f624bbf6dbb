import { test } from 'node:test'
import { fileFixture } from './fixtures.js'
import { tortureForAMinute } from './minute.js'

test('a minute of kills on file queues loses nothing, and each duplicate has its reason', t =>
  tortureForAMinute(t, (folder, _seed, elsewhere) => fileFixture([folder], elsewhere)))
