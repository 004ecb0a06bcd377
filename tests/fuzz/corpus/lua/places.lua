--[[ a comment
nexus.dag{ id = "x" } ]]
local d = nexus.dag{
  id = "p",
  schedule = "@dayly", -- words, that = nothing
  description = [[ a long
    text = with { braces ]],
  tags = { "a", "", 'b' },
  params = {
    days = { type = "integer", default = "x" },
  },
}
do local r = "a"
  d:task("load_" .. r, {
    uses = "data.ingest",
    retries = 5000,
    ["with"] = { source = "x", colums = { 1, 2 } },
    needs = { "load_" .. r, "zz" },
  })
end
return d
