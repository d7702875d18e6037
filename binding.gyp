{
  "targets": [
    {
      "target_name": "node_cudnn",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": [],
          "outputs": ["<(PRODUCT_DIR)/.always"],
          "action": ["node", "native/build.cjs"]
        }
      ]
    }
  ]
}
