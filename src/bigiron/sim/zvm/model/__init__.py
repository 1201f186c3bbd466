"""What a z/VM system consists of, and its rules; how it is asked lies in smapi, cp and linux."""
