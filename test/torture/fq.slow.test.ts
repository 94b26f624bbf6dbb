import { test } from 'node:test'
import { fileGrounds } from './grounds.js'
import { tortureForAMinute } from './minute.js'

test('a minute of kills on file queues loses nothing, and each duplicate has its reason', t =>
  tortureForAMinute(t, (folder, _seed, elsewhere) => fileGrounds([folder], elsewhere)))
