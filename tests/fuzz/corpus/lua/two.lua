local function make(id, n)
  local d = nexus.dag{ id = id, timeout = hours(n) }
  local first = d:task("first", { uses = "flow.noop", with = {} })
  d:task("second", { needs = { first }, run = [[echo ${{ params.x }}]], ["if"] = "1 < 2" })
  return d
end
local list = { make("one", 1), make("two", 2) }
table.sort(list, function(a, b) return false end)
return list
